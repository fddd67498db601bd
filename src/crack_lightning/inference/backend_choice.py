"""Engine selection for a prediction or an evaluation, by a benchmark if that saves time."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from crack_lightning.data.io.decoding import picture_header
from crack_lightning.model.backends.engines.eager import dtype_of, eager
from crack_lightning.model.backends.select import BackendChoice, prepare_backend
from crack_lightning.runtime.cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import nn

    from crack_lightning.config import EvaluateConfig, PredictConfig
    from crack_lightning.model.backends.registry import Compute
    from crack_lightning.runtime.hardware import HardwarePlan

log = logging.getLogger(__name__)
MANY = 1000
"""Number of tiles from which a trial of the engines saves time."""

_MANY_PIXELS = 10_000_000


def is_untried(config: PredictConfig | EvaluateConfig, plan: HardwarePlan, *, worth_trying: bool) -> bool:
    """Return whether PyTorch is used without benchmarking engines."""
    is_plain = plan.accelerator == "gpu" or config.trainer.precision != "auto" or not worth_trying
    return config.engine == "auto" and is_plain


def choose(
    config: PredictConfig | EvaluateConfig,
    network: nn.Module,
    *,
    plan: HardwarePlan,
    image_size: int | None,
    worth_trying: bool,
) -> tuple[BackendChoice, Compute]:
    """Select the engine of a network as configured, and build the network's compute function.

    Args:
        config: Checked settings.
        network: As for :func:`~crack_lightning.model.backends.select.prepare_backend`.
        plan: The hardware plan.
        image_size: Side of the tiles in pixels; ``None`` where sizes differ.
        worth_trying: Whether benchmarking engines saves time.

    Raises:
        ConfigError: If the engine is not available, or cannot run the network.
    """
    if is_untried(config, plan, worth_trying=worth_trying):
        log.info("engine: eager PyTorch, precision %s, on %s", plan.precision, plan.device)
        choice = BackendChoice(name="eager", precision=plan.precision, tiles_per_s={})
        dtype = dtype_of(plan.precision)
        return choice, eager(network, device=plan.device, dtype=dtype, any_size=image_size is None)
    return prepare_backend(
        network,
        wanted=config.engine,
        image_size=image_size,
        threads=plan.threads,
        cache=cache_folder(),
        key="engine",
    )


def are_large(pictures: Sequence[Path]) -> bool:
    """Return whether the pictures have ten million pixels in total, reading as few headers as possible."""
    pixels = 0
    for picture in pictures:
        with suppress(Exception):  # decoding reports what is wrong
            width, height, _ = picture_header(picture)
            pixels += width * height
        if pixels >= _MANY_PIXELS:
            return True
    return False
