"""Worker processes of a DataLoader: transfer of batches without shared memory, and errors of workers."""

from __future__ import annotations

import logging
import os
import re
from contextlib import contextmanager
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from crack_lightning.runtime.errors import DataError, Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

log = logging.getLogger(__name__)
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # where Linux has it, not a file of ours
_PREFETCHED, _LOADERS = 2, 2
"""Batches that each worker prefetches (torch's default), and loaders at a time (training, validation)."""

_MIB = 2**20
_REMEDY = (
    "set data.num_workers=0 to read without workers, or lower data.batch_size; give a container more "
    "memory, also shared, as in docker run --shm-size=8g"
)
_ENDED = re.compile(
    r"DataLoader worker \(pid\(?s?\)? [\d, ]+\) (exited unexpectedly|is killed by signal: \w+)"
    r"|DataLoader timed out after \d+ seconds|Pin memory thread exited unexpectedly"
)


class TileLoader(DataLoader[Any]):
    """A DataLoader that raises a DataError if its workers cannot be started."""

    def __iter__(self) -> Any:
        """Return an iterator over the batches.

        Raises:
            DataError: If the workers cannot be started.
        """
        try:
            return super().__iter__()
        except OSError as error:
            if not self.num_workers:
                raise
            raise DataError(
                f"data.num_workers: {self.num_workers} worker processes cannot be started "
                f"({error.strerror or error}); {_REMEDY}."
            ) from error


def worker_init(*, batch_bytes: int, num_workers: int) -> Callable[[int], None] | None:
    """Return a ``worker_init_fn`` that avoids shared memory where it is too small, else ``None``.

    With too little shared memory a worker is killed without a message, or blocks for ever.

    Args:
        batch_bytes: Size of a batch.
        num_workers: Workers of each loader, of all ranks together.
    """
    if not num_workers:
        return None
    free = _free_shared_memory()
    needed = batch_bytes * num_workers * _PREFETCHED * _LOADERS
    if free is None or 2 * needed <= free:
        return None
    log.info(
        "workers: batches are sent through pipes, as shared memory (%s) has %d MiB free and they may take %d",
        SHARED_MEMORY,
        free / _MIB,
        needed / _MIB,
    )
    return _copy_batches


def _free_shared_memory() -> int | None:
    """Return the free bytes of ``/dev/shm``; ``None`` on a system without it."""
    try:
        status = os.statvfs(SHARED_MEMORY)
    except (OSError, AttributeError):
        return None
    return status.f_bavail * status.f_frsize


def _copy_batches(_worker: int) -> None:
    """Let this worker process send tensors through its pipe instead of shared memory."""
    ForkingPickler.register(torch.Tensor, _by_value)


def _by_value(tensor: Tensor) -> tuple[Any, ...]:
    return torch.from_numpy, (tensor.numpy(),)


@contextmanager
def explain_worker_failures(stop_signal: Callable[[], int | None] = lambda: None) -> Iterator[None]:
    """Convert torch's error for a worker that died or timed out to a DataError that says what to do.

    Args:
        stop_signal: Returns a stop signal that this process has received, which may have ended workers too.

    Raises:
        DataError: If a worker died or timed out.
        Interrupted: If this process has received a stop signal.
    """
    try:
        yield
    except RuntimeError as error:
        if not (match := _ENDED.search(str(error))):
            raise
        if number := stop_signal():
            raise Interrupted(number) from error
        raise DataError(
            f"data.num_workers: a worker process died or timed out ({match[0]}), often for lack of memory; "
            f"{_REMEDY}."
        ) from error
