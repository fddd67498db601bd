"""Selection of the inference backend: eager PyTorch or OpenVINO, the fastest that agrees with eager."""

from __future__ import annotations

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

import torch

from crack_lightning.model.backends.fuse_conv_bn import fuse_conv_bn
from crack_lightning.model.backends.openvino import (
    AnySizeCompute,
    TileCompute,
    UnfitError,
    convert,
    openvino_version,
)
from crack_lightning.model.backends.per_process import PerProcess
from crack_lightning.runtime.cache import cached_entry
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.hardware import describe_processor, has_native_bf16

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor, nn

log = logging.getLogger(__name__)
LARGEST_DISAGREEMENT = 0.02
"""Largest relative deviation of the outputs from eager fp32 that ``auto`` accepts."""

_PRECISION = {"eager": "32", "eager_bf16": "bf16", "openvino": "32", "openvino_bf16": "bf16"}
_BATCH, _PIECE_PX, _EXAMPLE_PX = 32, 320, 64
_CHOICE, _NETWORK = "choice.json", "network.xml"


class Compute(Protocol):
    """A thread-safe function from images, uint8 ``(N, 3, H, W)``, to outputs, float32 ``(N, …)``."""

    def __call__(self, images: Tensor) -> Tensor:  # noqa: D102
        ...


@dataclass(frozen=True, kw_only=True)
class BackendChoice:
    """The selected backend, with the rates of the candidates.

    Attributes:
        name: ``eager``, ``eager_bf16``, ``openvino`` or ``openvino_bf16``.
        precision: ``32``, ``bf16`` or ``16``.
        tiles_per_s: Rate of each candidate on one batch, or on a piece of 320 px where sizes differ; empty
            where none was compared.
    """

    name: str
    precision: str
    tiles_per_s: dict[str, float]

    @property
    def title(self) -> str:
        """The backend's name in a report."""
        return {"eager": "eager PyTorch", "openvino": "OpenVINO"}[self.family]

    @property
    def family(self) -> str:
        """``eager`` or ``openvino``."""
        return self.name.removesuffix("_bf16")


def prepare_backend(
    network: nn.Module, *, wanted: str, image_size: int | None, threads: int, cache: Path, key: str
) -> tuple[BackendChoice, Compute]:
    """Select the backend of a network on the CPU, once for its weights and this machine.

    Args:
        network: From images, uint8 ``(N, 3, S, S)``, to outputs, float ``(N, …)``; in evaluation mode.
        wanted: A backend's name, or ``auto`` for the fastest on this machine that agrees with ``eager``.
        image_size: S, pixels; ``None`` for single images whose sides are multiples of 16.
        threads: Compute threads.
        cache: The cache folder, which stores the choice and the converted network.
        key: The configuration key, for errors.

    Raises:
        ConfigError: If the backend is not installed, not supported by the processor, or cannot run the
            network.
    """
    _check_possible(wanted, key)
    made_of = {
        "network": network_digest(network),
        "wanted": wanted,
        "image_size": image_size,
        "threads": threads,
        "processor": describe_processor(),
        "torch": torch.__version__,
        "openvino": openvino_version(),
    }
    make = partial(_choose, network=network, wanted=wanted, image_size=image_size, threads=threads)
    try:
        entry = cached_entry("engines", made_of, make, cache=cache)
    except UnfitError as error:
        raise ConfigError(
            f"{key}: '{wanted}' cannot take this network ({error}); use {key}=eager."
        ) from error
    choice = BackendChoice(**json.loads((entry / _CHOICE).read_text(encoding="utf-8")))
    compute = _build(choice.name, network, entry, image_size=image_size, threads=threads)
    rates = ", ".join(f"{name} {rate:g}" for name, rate in choice.tiles_per_s.items())
    log.info(
        "engine: %s, precision %s%s", choice.title, choice.precision, f" (tiles/s: {rates})" * bool(rates)
    )
    return choice, compute


def eager(
    network: nn.Module,
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    any_size: bool = False,
) -> Compute:
    """Return the eager PyTorch backend, with autocast to ``dtype`` if one is given.

    Images of ``any_size`` can be large: batch normalisation is fused to save memory; their sides are
    multiples of 16.
    """
    if any_size:
        network = fuse_conv_bn(network, torch.zeros((1, 3, _EXAMPLE_PX, _EXAMPLE_PX), dtype=torch.uint8))
    return EagerCompute(network.to(device), device=device, dtype=dtype)


class EagerCompute:
    """The eager PyTorch backend, in a thread of its own.

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
        """Compute as :class:`Compute`."""
        return self._thread.get().submit(self._compute, images).result()

    @torch.inference_mode()
    def _compute(self, images: Tensor) -> Tensor:
        if self._device != "cpu":
            images = images.pin_memory()  # else the copy waits for all that is computed
        with torch.autocast(self._device, dtype=self._dtype, enabled=self._dtype is not None):
            outputs: Tensor = self._network(images.to(self._device, non_blocking=True))
        return outputs.float().cpu()


def dtype_of(precision: str) -> torch.dtype | None:
    """Return the autocast type of a precision, ``None`` for 32 bits."""
    return {"32": None, "bf16": torch.bfloat16, "16": torch.float16}[precision]


def network_digest(network: nn.Module) -> str:
    """Return the SHA-256 digest of a network's class, structure and weights, hex."""
    digest = sha256(f"{type(network).__name__}\n{network}\n".encode())
    for name, value in sorted({**dict(network.named_parameters()), **dict(network.named_buffers())}.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _choose(folder: Path, *, network: nn.Module, wanted: str, image_size: int | None, threads: int) -> None:
    """Time the backends on one batch; store the choice and the converted network."""
    names = [wanted] if wanted != "auto" else _at_hand()
    if len(names) == 1:
        choice = BackendChoice(name=names[0], precision=_PRECISION[names[0]], tiles_per_s={})
        if "openvino" in names[0]:
            convert(network, folder / _NETWORK, image_size=image_size)
    else:
        choice = _fastest(names, network, folder, image_size=image_size, threads=threads)
    (folder / _CHOICE).write_text(json.dumps(asdict(choice)), encoding="utf-8")


def _at_hand() -> list[str]:
    with_openvino = ["openvino"] if openvino_version() else []
    names = ["eager", *with_openvino]
    return [*names, *(f"{name}_bf16" for name in names)] if has_native_bf16() else names


def _check_possible(name: str, key: str) -> None:
    if "openvino" in name and not openvino_version():
        raise ConfigError(
            f"{key}: '{name}' needs OpenVINO, which is not installed; "
            f'run pip install "crack-lightning[fast]", or use {key}=eager.'
        )
    if "bf16" in name and not has_native_bf16():
        raise ConfigError(
            f"{key}: '{name}' needs a processor that computes in bf16, and this one ({describe_processor()}) "
            f"does not; use {key}={name.removesuffix('_bf16')}."
        )


def _fastest(
    names: list[str], network: nn.Module, folder: Path, *, image_size: int | None, threads: int
) -> BackendChoice:
    generator = torch.Generator().manual_seed(0)
    shape = (_BATCH, 3, image_size, image_size) if image_size else (1, 3, _PIECE_PX, _PIECE_PX)
    sample = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    reference = eager(network)(sample)
    rates: dict[str, float] = {}
    for name in names:
        try:
            if "openvino" in name and not (folder / _NETWORK).exists():
                convert(network, folder / _NETWORK, image_size=image_size)
            compute = _build(name, network, folder, image_size=image_size, threads=threads)
            disagreement = float(
                torch.linalg.norm(compute(sample) - reference) / torch.linalg.norm(reference)
            )
        except UnfitError as error:
            log.info("engine: %s cannot take this network (%s)", name, error)
            continue
        if disagreement <= LARGEST_DISAGREEMENT:
            rates[name] = round(len(sample) / _seconds(compute, sample), 1)
        else:
            log.info("engine: %s differs from eager by %.1f %%, not used", name, 100 * disagreement)
    best = max(rates, key=lambda name: rates[name])
    return BackendChoice(name=best, precision=_PRECISION[best], tiles_per_s=rates)


def _seconds(compute: Callable[[Tensor], Tensor], sample: Tensor) -> float:
    """Return the seconds of the faster of two calls."""
    times = []
    for _ in range(2):
        began = time.perf_counter()
        compute(sample)
        times.append(time.perf_counter() - began)
    return min(times)


def _build(name: str, network: nn.Module, folder: Path, *, image_size: int | None, threads: int) -> Compute:
    if "openvino" in name:
        kind = AnySizeCompute if image_size is None else TileCompute
        return kind(folder / _NETWORK, precision=_PRECISION[name], threads=threads)
    dtype = torch.bfloat16 if "bf16" in name else None
    return eager(network, dtype=dtype, any_size=image_size is None)
