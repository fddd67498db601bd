"""The eager PyTorch backend."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import torch

from crack_lightning.model.backends.fuse_conv_bn import fuse_conv_bn
from crack_lightning.model.backends.per_process import PerProcess
from crack_lightning.model.backends.registry import Backend

if TYPE_CHECKING:
    from torch import Tensor, nn

    from crack_lightning.model.backends.registry import BuildInputs, Compute

_EXAMPLE_PX = 64


def eager(
    network: nn.Module,
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    any_size: bool = False,
) -> Compute:
    """Return a function that runs a network in eager PyTorch, with autocast to ``dtype`` if one is given.

    With ``any_size``, images can be large: batch normalisation is fused to save memory, and sides must be
    multiples of 16.
    """
    if any_size:
        network = fuse_conv_bn(network, torch.zeros((1, 3, _EXAMPLE_PX, _EXAMPLE_PX), dtype=torch.uint8))
    return EagerCompute(network.to(device), device=device, dtype=dtype)


class EagerCompute:
    """Runs a network in eager PyTorch, in one thread for all callers.

    Each call uses all compute threads, whatever the number of callers; and a forked process does not wait for
    the parent's compute threads, which do not exist there.

    Args:
        network: On ``device``.
        device: The device.
        dtype: The type of autocast; ``None`` for 32 bits.
    """

    def __init__(self, network: nn.Module, *, device: str, dtype: torch.dtype | None) -> None:
        self._network, self._device, self._dtype = network, device, dtype
        self._thread = PerProcess(partial(ThreadPoolExecutor, 1))

    def __call__(self, images: Tensor) -> Tensor:
        """Compute as :class:`~crack_lightning.model.backends.registry.Compute`."""
        return self._thread.get().submit(self._compute, images).result()

    @torch.inference_mode()
    def _compute(self, images: Tensor) -> Tensor:
        if self._device != "cpu":
            images = images.pin_memory()  # a copy from pageable memory would block
        with torch.autocast(self._device, dtype=self._dtype, enabled=self._dtype is not None):
            outputs: Tensor = self._network(images.to(self._device, non_blocking=True))
        return outputs.float().cpu()


def dtype_of(precision: str) -> torch.dtype | None:
    """Return the autocast type of a precision, ``None`` for 32 bits."""
    return {"32": None, "bf16": torch.bfloat16, "16": torch.float16}[precision]


def _build(inputs: BuildInputs) -> Compute:
    return eager(inputs.network, dtype=dtype_of(inputs.precision), any_size=inputs.image_size is None)


BACKEND = Backend(title="eager PyTorch", build=_build, piece_px=1664)
