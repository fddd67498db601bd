"""Out-of-memory errors, of a GPU or of the machine, as one sentence."""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crack_lightning.runtime.errors import CrackLightningError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MESSAGES = re.compile(
    r"out of (?:host |device )?memory|can't allocate memory|cannot allocate memory|unable to allocate|"
    r"not enough memory|insufficient memory|bad[ _]alloc(?:ation)?|failed to allocate|"
    r"(?:CUBLAS|CUDNN|CUSOLVER|CUFFT|CUSPARSE)_STATUS_(?:ALLOC|INTERNAL_ERROR_\w*ALLOCATION)_?FAILED",
    re.IGNORECASE,
)
_ON_GPU = re.compile(r"\b(?:CUDA|CUDNN|CUBLAS|HIP|GPU)", re.IGNORECASE)


class OutOfMemoryError(CrackLightningError):
    """Out of memory, with the settings to lower."""


def out_of_memory_cause(error: BaseException) -> BaseException | None:
    """Return the out-of-memory error in an error's chain of causes, or ``None``.

    PyTorch, cuDNN, cuBLAS and OpenVINO raise a ``RuntimeError``, which only its text identifies.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, MemoryError) or "OutOfMemory" in type(cause).__name__:
            return cause
        if isinstance(cause, OSError) and cause.errno == errno.ENOMEM:
            return cause
        from_library = isinstance(cause, RuntimeError | OSError) or type(cause).__module__ == "cv2"
        if from_library and _MESSAGES.search(str(cause)):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def out_of_memory_message(error: BaseException, lower: str) -> str:
    """Return a sentence with the device, the library's message and the next step.

    Args:
        error: From :func:`out_of_memory_cause`.
        lower: The settings to lower, and their values.
    """
    lines = [line for line in str(error).splitlines() if _MESSAGES.search(line)]
    message = (lines or [type(error).__name__])[0].strip()
    where = "the GPU" if _ON_GPU.search(f"{type(error).__module__} {error}") else "this machine"
    return f"memory: {where} has not enough ({message.split('. GPU ')[0].rstrip('.')}); {lower}"


@contextmanager
def explain_out_of_memory(
    *,
    batch_size: int,
    image_size: int | None,
    key: str = "data.batch_size",
) -> Iterator[None]:
    """Raise out-of-memory errors of the block with the settings to lower.

    Args:
        batch_size: Tiles in a batch.
        image_size: Side of a tile in pixels; ``None`` if it is not configurable.
        key: The key of ``batch_size``.

    Raises:
        OutOfMemoryError: If the block runs out of memory.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, CrackLightningError) or (cause := out_of_memory_cause(error)) is None:
            raise
        steps = [f"lower {key}={batch_size} to {batch_size // 2}"] if batch_size > 1 else []
        steps += [f"lower model.image_size={image_size}"] if image_size is not None else []
        lower = ", or ".join(steps or ["use a smaller network"])
        raise OutOfMemoryError(out_of_memory_message(cause, f"{lower}.")) from error
