"""Memory that ran out, on a GPU or on the machine, in one sentence."""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crack_lightning.runtime.errors import CrackLightningError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNS = re.compile(
    r"out of (?:host |device )?memory|can't allocate memory|cannot allocate memory|unable to allocate|"
    r"not enough memory|insufficient memory|bad[ _]alloc(?:ation)?|failed to allocate|"
    r"(?:CUBLAS|CUDNN|CUSOLVER|CUFFT|CUSPARSE)_STATUS_(?:ALLOC|INTERNAL_ERROR_\w*ALLOCATION)_?FAILED",
    re.IGNORECASE,
)
_ON_GPU = re.compile(r"\b(?:CUDA|CUDNN|CUBLAS|HIP|GPU)", re.IGNORECASE)


class OutOfMemoryError(CrackLightningError):
    """Memory that does not suffice, and what to lower."""


def lacks_memory(error: BaseException) -> BaseException | None:
    """Return the error that memory ran out, of an error and those that led to it; else ``None``.

    PyTorch, cuDNN, cuBLAS and OpenVINO raise a ``RuntimeError`` for it, of which the text alone tells.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, MemoryError) or "OutOfMemory" in type(cause).__name__:
            return cause
        if isinstance(cause, OSError) and cause.errno == errno.ENOMEM:
            return cause
        foreign = isinstance(cause, RuntimeError | OSError) or type(cause).__module__ == "cv2"
        if foreign and _SIGNS.search(str(cause)):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def memory_sentence(error: BaseException, lower: str) -> str:
    """Return which memory ran out, for what, and the next step.

    Args:
        error: What :func:`lacks_memory` returned.
        lower: The settings to lower, and their values.
    """
    lines = [line for line in str(error).splitlines() if _SIGNS.search(line)]
    told = (lines or [type(error).__name__])[0].strip()
    where = "the GPU" if _ON_GPU.search(f"{type(error).__module__} {error}") else "this machine"
    return f"memory: {where} has not enough ({told.split('. GPU ')[0].rstrip('.')}); {lower}"


@contextmanager
def memory_for(
    *,
    batch_size: int,
    image_size: int | None,
    key: str = "data.batch_size",
) -> Iterator[None]:
    """Name what to lower where the block's memory does not suffice.

    Args:
        batch_size: Tiles at once.
        image_size: Side of a tile in pixels; ``None`` where nobody can choose it.
        key: The key of ``batch_size``.

    Raises:
        OutOfMemoryError: If the block raises that memory ran out.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, CrackLightningError) or (cause := lacks_memory(error)) is None:
            raise
        steps = [f"lower {key}={batch_size} to {batch_size // 2}"] if batch_size > 1 else []
        steps += [f"lower model.image_size={image_size}"] if image_size is not None else []
        lower = ", or ".join(steps or ["use a smaller network"])
        raise OutOfMemoryError(memory_sentence(cause, f"{lower}.")) from error
