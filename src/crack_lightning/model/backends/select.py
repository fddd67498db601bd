"""Selection of the inference backend: the fastest that agrees with eager PyTorch."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

import torch

from crack_lightning.model.backends.engines.eager import eager
from crack_lightning.model.backends.registry import (
    BuildInputs,
    UnfitError,
    available_engines,
    backend_name,
    backend_versions,
    engine_precision,
    load_backend,
)
from crack_lightning.runtime.cache import cached_entry
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.hardware import describe_processor, has_native_bf16

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor, nn

    from crack_lightning.model.backends.registry import Backend, Compute

log = logging.getLogger(__name__)
LARGEST_DISAGREEMENT = 0.02
"""Largest relative deviation of the outputs from eager fp32 that ``auto`` accepts."""

_BATCH, _PIECE_PX = 32, 320
_CHOICE = "choice.json"


@dataclass(frozen=True, kw_only=True)
class BackendChoice:
    """The selected backend, with the rates of the candidates.

    Attributes:
        name: The engine, a value of ``ENGINES`` other than ``auto``.
        precision: ``32``, ``bf16`` or ``16``.
        tiles_per_s: Rate of each candidate; empty for a single candidate. For images of any size, it is
            that of 320 px pieces.
    """

    name: str
    precision: str
    tiles_per_s: dict[str, float]

    @property
    def backend(self) -> Backend:
        """The backend of the engine."""
        return load_backend(self.name)


def prepare_backend(
    network: nn.Module, *, wanted: str, image_size: int | None, threads: int, cache: Path, key: str
) -> tuple[BackendChoice, Compute]:
    """Select and build the backend of a network on the CPU, as :func:`choose_backend` selects it."""
    choice, build = choose_backend(
        network, wanted=wanted, image_size=image_size, threads=threads, cache=cache, key=key
    )
    return choice, build()


def choose_backend(
    network: nn.Module, *, wanted: str, image_size: int | None, threads: int, cache: Path, key: str
) -> tuple[BackendChoice, Callable[[], Compute]]:
    """Select the backend of a network on the CPU; the choice is cached by weights and machine.

    Args:
        network: From images, uint8 ``(N, 3, S, S)``, to outputs, float ``(N, …)``; in evaluation mode.
        wanted: An engine, or ``auto`` for the fastest on this machine that agrees with ``eager``.
        image_size: S, pixels; ``None`` for single images whose sides are multiples of 16.
        threads: Compute threads.
        cache: The cache folder, which stores the choice and the converted network.
        key: The configuration key, for errors.

    Returns:
        The choice, and a function that builds the backend, which may take a second.

    Raises:
        ConfigError: If the backend is not installed, not supported by the processor, or cannot run the
            network.
    """
    _check_possible(wanted, key)
    fingerprint = {
        "network": network_digest(network),
        "wanted": wanted,
        "image_size": image_size,
        "threads": threads,
        "processor": describe_processor(),
        "torch": torch.__version__,
        "backends": backend_versions(),
    }
    make = partial(_choose, network=network, wanted=wanted, image_size=image_size, threads=threads)
    try:
        entry = cached_entry("engines", fingerprint, make, cache=cache)
    except UnfitError as error:
        raise ConfigError(f"{key}: '{wanted}' cannot run this network ({error}); use {key}=eager.") from error
    choice = BackendChoice(**json.loads((entry / _CHOICE).read_text(encoding="utf-8")))
    build = partial(_build, choice.name, network, entry, image_size=image_size, threads=threads)
    rates = ", ".join(f"{name} {rate:g}" for name, rate in choice.tiles_per_s.items())
    log.info(
        "engine: %s, precision %s%s",
        choice.backend.title,
        choice.precision,
        f" (tiles/s: {rates})" * bool(rates),
    )
    return choice, build


def network_digest(network: nn.Module) -> str:
    """Return the SHA-256 digest of a network's class, structure and weights, hex.

    Parameters that a network names as ``unused``, such as the random head behind features, do not count.
    """
    digest = sha256(f"{type(network).__name__}\n{network}\n".encode())
    unused = getattr(network, "unused", ())
    for name, value in sorted({**dict(network.named_parameters()), **dict(network.named_buffers())}.items()):
        if name in unused:
            continue
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _choose(folder: Path, *, network: nn.Module, wanted: str, image_size: int | None, threads: int) -> None:
    """Select an engine; store the choice and the converted network."""
    names = available_engines(bf16=has_native_bf16()) if wanted == "auto" else [wanted]
    if len(names) == 1:
        choice = BackendChoice(name=names[0], precision=engine_precision(names[0]), tiles_per_s={})
        _convert(names[0], network, folder, image_size)
    else:
        choice = _fastest(names, network, folder, image_size=image_size, threads=threads)
    (folder / _CHOICE).write_text(json.dumps(asdict(choice)), encoding="utf-8")


def _check_possible(name: str, key: str) -> None:
    if name == "auto":
        return
    backend = load_backend(name)
    if not backend.is_installed:
        raise ConfigError(
            f"{key}: '{name}' needs {backend.title}, which is not installed; "
            f'run pip install "crack-lightning[{backend.extra}]", or use {key}=eager.'
        )
    if engine_precision(name) == "bf16" and not has_native_bf16():
        raise ConfigError(
            f"{key}: '{name}' needs a processor that computes in bf16, and this one ({describe_processor()}) "
            f"does not; use {key}={backend_name(name)}."
        )


def _fastest(
    names: list[str], network: nn.Module, folder: Path, *, image_size: int | None, threads: int
) -> BackendChoice:
    """Time the engines that agree with eager PyTorch on one batch."""
    generator = torch.Generator().manual_seed(0)
    shape = (_BATCH, 3, image_size, image_size) if image_size else (1, 3, _PIECE_PX, _PIECE_PX)
    sample = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    reference = eager(network)(sample)
    rates: dict[str, float] = {}
    converted: set[str] = set()
    for name in names:
        try:
            if backend_name(name) not in converted:
                _convert(name, network, folder, image_size)
                converted.add(backend_name(name))
            compute = _build(name, network, folder, image_size=image_size, threads=threads)
            difference = float(torch.linalg.norm(compute(sample) - reference) / torch.linalg.norm(reference))
        except UnfitError as error:
            log.info("engine: %s cannot run this network (%s)", name, error)
            continue
        if difference <= LARGEST_DISAGREEMENT:
            rates[name] = round(len(sample) / _seconds(compute, sample), 1)
        else:
            log.info("engine: %s differs from eager by %.1f %%, not used", name, 100 * difference)
    best = max(rates, key=lambda name: rates[name], default="eager")  # none agrees if outputs are NaN
    return BackendChoice(name=best, precision=engine_precision(best), tiles_per_s=rates)


def _seconds(compute: Compute, sample: Tensor) -> float:
    """Return the seconds of the faster of two calls."""
    times = []
    for _ in range(2):
        began = time.perf_counter()
        compute(sample)
        times.append(time.perf_counter() - began)
    return min(times)


def _convert(name: str, network: nn.Module, folder: Path, image_size: int | None) -> None:
    if convert := load_backend(name).convert:
        convert(network, folder, image_size)


def _build(name: str, network: nn.Module, folder: Path, *, image_size: int | None, threads: int) -> Compute:
    inputs = BuildInputs(
        network=network,
        folder=folder,
        precision=engine_precision(name),
        image_size=image_size,
        threads=threads,
    )
    return load_backend(name).build(inputs)
