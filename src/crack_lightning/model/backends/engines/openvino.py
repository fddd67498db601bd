"""The OpenVINO backend: batches of tiles of one size, or single images of any size."""

from __future__ import annotations

import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from crack_lightning.model.backends.per_process import PerProcess
from crack_lightning.model.backends.registry import Backend, UnfitError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor, nn

    from crack_lightning.model.backends.registry import BuildInputs, Compute

_JOB, _EXAMPLE_PX = 8, 64
_NETWORK = "network.xml"


def convert(network: nn.Module, folder: Path, image_size: int | None) -> None:
    """Convert a network to OpenVINO's format.

    Args:
        network: In evaluation mode, for images, uint8 ``(N, 3, H, W)``.
        folder: Where the XML and the weights are written.
        image_size: Side of the tiles in pixels, for batches of a fixed size, which are the fastest; ``None``
            for single images whose sides are multiples of 16.

    Raises:
        UnfitError: If OpenVINO cannot run the network.
    """
    openvino = _quiet_openvino()
    shape = (_JOB, 3, image_size, image_size) if image_size else (1, 3, _EXAMPLE_PX, _EXAMPLE_PX)
    example = torch.zeros(shape, dtype=torch.uint8)
    input_shape = list(shape) if image_size else [1, 3, -1, -1]
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # of the tracer, whose branches the comparison with eager checks
            # traced here: the converter would trace three times and take three times as long
            traced = torch.jit.freeze(torch.jit.trace(network, example, check_trace=False))  # type: ignore[no-untyped-call]
            model = openvino.convert_model(traced, input=[(input_shape, openvino.Type.u8)])
        openvino.save_model(model, folder / _NETWORK, compress_to_fp16=False)
    except Exception as error:  # the converter raises anything
        raise UnfitError(_short(error)) from error


class TileCompute:
    """Computes batches of tiles in parallel streams of one thread each.

    Args:
        path: The XML of :func:`convert`, for tiles.
        precision: ``32`` or ``bf16``.
        threads: Compute threads.

    Raises:
        UnfitError: If OpenVINO cannot run the network.
    """

    def __init__(self, path: Path, *, precision: str, threads: int) -> None:
        self._streams = PerProcess(partial(_Streams, path, precision=precision, threads=threads))
        self._streams.get()  # compiled now, so that an unfit network is refused here

    def __call__(self, images: Tensor) -> Tensor:
        """Compute as :class:`~crack_lightning.model.backends.registry.Compute`."""
        streams = self._streams.get()
        return torch.cat(list(streams.pool.map(streams.infer, torch.split(images, _JOB))))


class _Streams:
    """The threads and the compiled network of one process."""

    def __init__(self, path: Path, *, precision: str, threads: int) -> None:
        settings = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": threads}
        compiled = _compiled(path, None, settings, precision=precision, threads=threads)
        # not OpenVINO's own queue: its destructor can wait for a callback that waits for the interpreter
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(threads):
            self._requests.put(compiled.create_infer_request())
        self.pool = ThreadPoolExecutor(threads)

    def infer(self, job: Tensor) -> Tensor:
        """Compute up to ``_JOB`` tiles."""
        batch = np.zeros((_JOB, *job.shape[1:]), np.uint8)
        batch[: len(job)] = job.numpy()
        request = self._requests.get()
        try:
            outputs = request.infer({0: batch}, share_inputs=True)[0]
            return torch.from_numpy(np.array(outputs[: len(job)], np.float32))
        finally:
            self._requests.put(request)


class AnySizeCompute:
    """Computes image by image on all threads, recompiling when the size changes.

    A fixed size takes half the memory of a dynamic one and less time; compiling takes some tenths of a
    second.

    Args:
        path: The XML of :func:`convert`, for images of any size.
        precision: ``32`` or ``bf16``.
        threads: Compute threads.

    Raises:
        UnfitError: If OpenVINO cannot run the network; on the first call.
    """

    def __init__(self, path: Path, *, precision: str, threads: int) -> None:
        self._compile = partial(_compiled, path, precision=precision, threads=threads)
        self._one = PerProcess(_OneAtATime)

    def __call__(self, images: Tensor) -> Tensor:
        """Compute as :class:`~crack_lightning.model.backends.registry.Compute`."""
        one = self._one.get()
        jobs = torch.split(images, 1)
        return torch.cat([one.thread.submit(one.infer, image, self._compile).result() for image in jobs])


class _OneAtATime:
    """The single thread of one process, and the network compiled for the last size."""

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(1)
        self._requests: dict[torch.Size, Any] = {}

    def infer(self, image: Tensor, compile_for: Callable[..., Any]) -> Tensor:
        """Compute one image, uint8 ``(1, 3, H, W)``."""
        if image.shape not in self._requests:
            self._requests.clear()  # first, for its memory
            settings = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
            self._requests[image.shape] = compile_for(image.shape, settings).create_infer_request()
        outputs = self._requests[image.shape].infer({0: image.numpy()}, share_inputs=True)[0]
        return torch.from_numpy(np.array(outputs, np.float32))


def _compiled(
    path: Path, shape: torch.Size | None, settings: dict[str, Any], *, precision: str, threads: int
) -> Any:
    core = _CORE.get()
    settings = settings | {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
    }
    try:
        model = core.read_model(str(path))
        if shape is not None:
            model.reshape(list(shape))
        return core.compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise UnfitError(_short(error)) from error


def _build_core() -> Any:
    return _quiet_openvino().Core()


_CORE = PerProcess(_build_core)
"""The core of each process, kept until it ends.

The CPU plugin installs a signal stack in the thread that creates a core, and frees it with the core. After
that, a signal to this thread is a segmentation fault.
"""


def _quiet_openvino() -> Any:
    """Import OpenVINO without its telemetry, which would report each use over the network.

    Without the telemetry package, OpenVINO uses a stub of its own.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None blocks its import
    import openvino

    return openvino


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _build(inputs: BuildInputs) -> Compute:
    kind = AnySizeCompute if inputs.image_size is None else TileCompute
    return kind(inputs.folder / _NETWORK, precision=inputs.precision, threads=inputs.threads)


BACKEND = Backend(
    title="OpenVINO", build=_build, convert=convert, package="openvino", extra="fast", piece_px=2240
)
