"""A network as OpenVINO computes it: tiles of one size in batches, or single images of any size."""

from __future__ import annotations

import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from crack_lightning.model.engines import Compute

_JOB, _EXAMPLE_PX = 8, 64


class UnfitError(Exception):
    """Why an engine cannot take a network."""


def convert(network: nn.Module, path: Path, *, image_size: int | None) -> None:
    """Write a network as OpenVINO reads it.

    Args:
        network: In evaluation mode, for images, uint8 ``(N, 3, H, W)``.
        path: The XML to write; the weights go beside it.
        image_size: Side of the tiles in pixels, for batches of a fixed size, which it computes fastest;
            ``None`` for single images of any sides that are multiples of 16.

    Raises:
        UnfitError: If OpenVINO cannot take the network.
    """
    openvino = _quiet_openvino()
    shape = (_JOB, 3, image_size, image_size) if image_size else (1, 3, _EXAMPLE_PX, _EXAMPLE_PX)
    example = torch.zeros(shape, dtype=torch.uint8)
    taken = list(shape) if image_size else [1, 3, -1, -1]
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # of the tracer, whose branches the comparison with eager checks
            # frozen here: the converter would trace three times and take three times as long
            traced = torch.jit.freeze(torch.jit.trace(network, example, check_trace=False))  # type: ignore[no-untyped-call]
            model = openvino.convert_model(traced, input=[(taken, openvino.Type.u8)])
        openvino.save_model(model, path, compress_to_fp16=False)
    except Exception as error:  # the converter raises anything
        raise UnfitError(_short(error)) from error


def tile_compute(path: Path, *, precision: str, threads: int) -> Compute:
    """Compute in as many streams of one thread as there are threads: none waits for another at each layer.

    Raises:
        UnfitError: If OpenVINO cannot take the network.
    """
    settings = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": threads}
    compiled = _compiled(path, None, settings, precision=precision, threads=threads)
    # not OpenVINO's own queue: its destructor can wait for a callback that waits for the interpreter's lock
    requests: SimpleQueue[Any] = SimpleQueue()
    for _ in range(threads):
        requests.put(compiled.create_infer_request())
    pool = ThreadPoolExecutor(threads)

    def work(job: Tensor) -> Tensor:
        batch = np.zeros((_JOB, *job.shape[1:]), np.uint8)
        batch[: len(job)] = job.numpy()
        request = requests.get()
        try:
            outputs = request.infer({0: batch}, share_inputs=True)[0]
            return torch.from_numpy(np.array(outputs[: len(job)], np.float32))
        finally:
            requests.put(request)

    def compute(images: Tensor) -> Tensor:
        return torch.cat(list(pool.map(work, torch.split(images, _JOB))))

    return compute


def any_size_compute(path: Path, *, precision: str, threads: int) -> Compute:
    """Compute image by image on all threads, compiled anew where the size is not that of the image before.

    A fixed size takes half the memory of an open one and less time; to compile takes some tenths of a second.

    Raises:
        UnfitError: If OpenVINO cannot take the network.
    """
    one = ThreadPoolExecutor(1)  # for however many callers: each call takes all compute threads
    settings = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    at_hand: dict[torch.Size, Any] = {}

    def work(image: Tensor) -> Tensor:
        if image.shape not in at_hand:
            at_hand.clear()  # first, for its memory
            compiled = _compiled(path, image.shape, settings, precision=precision, threads=threads)
            at_hand[image.shape] = compiled.create_infer_request()
        outputs = at_hand[image.shape].infer({0: image.numpy()}, share_inputs=True)[0]
        return torch.from_numpy(np.array(outputs, np.float32))

    def compute(images: Tensor) -> Tensor:
        return torch.cat([one.submit(work, image).result() for image in torch.split(images, 1)])

    return compute


def openvino_version() -> str | None:
    """Return the version of OpenVINO; ``None`` where it is not installed."""
    try:
        return version("openvino")
    except PackageNotFoundError:
        return None


def _compiled(
    path: Path, shape: torch.Size | None, settings: dict[str, Any], *, precision: str, threads: int
) -> Any:
    openvino = _quiet_openvino()
    core = openvino.Core()
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


def _quiet_openvino() -> Any:
    """Import OpenVINO without what tells its maker, over the network and in a forked process, of each use.

    Without that package, OpenVINO takes a stand-in of its own that tells nobody anything.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # cannot be imported, says this
    import openvino

    return openvino


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
