"""Processes that read batches: how they hand them over, and what their end means."""

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
"""Batches ahead of each reader, torch's default; and loaders at a time, of training and validation."""

_MIB = 2**20
_REMEDY = (
    "set data.num_workers=0 to read without such processes, or lower data.batch_size; give a container more "
    "memory, also shared, as in docker run --shm-size=8g"
)
_ENDED = re.compile(
    r"DataLoader worker \(pid\(?s?\)? [\d, ]+\) (exited unexpectedly|is killed by signal: \w+)"
    r"|DataLoader timed out after \d+ seconds|Pin memory thread exited unexpectedly"
)


class TileLoader(DataLoader[Any]):
    """A data loader that raises one sentence where its readers cannot be started."""

    def __iter__(self) -> Any:
        """Return an iterator over the batches.

        Raises:
            DataError: If the system does not let the readers start.
        """
        try:
            return super().__iter__()
        except OSError as error:
            if not self.num_workers:
                raise
            raise DataError(
                f"data.num_workers: {self.num_workers} reading processes cannot be started "
                f"({error.strerror or error}); {_REMEDY}."
            ) from error


def hand_over(*, batch_bytes: int, num_workers: int) -> Callable[[int], None] | None:
    """Return what sets a reader up to copy its batches, where shared memory is too small; else ``None``.

    A reader that finds no room in it dies without a word, or waits for ever.

    Args:
        batch_bytes: Size of a batch.
        num_workers: Readers of each loader, of all processes together.
    """
    if not num_workers:
        return None
    room = _free_shared_memory()
    needed = batch_bytes * num_workers * _PREFETCHED * _LOADERS
    if room is None or 2 * needed <= room:
        return None
    log.info(
        "readers: batches are copied to the run, for shared memory (%s) has %d MiB free and they may take %d",
        SHARED_MEMORY,
        room / _MIB,
        needed / _MIB,
    )
    return _copy_batches


def _free_shared_memory() -> int | None:
    """Return bytes; ``None`` on a system that has none of this kind."""
    try:
        found = os.statvfs(SHARED_MEMORY)
    except (OSError, AttributeError):
        return None
    return found.f_bavail * found.f_frsize


def _copy_batches(_worker: int) -> None:
    """Let this process, a reader, send tensors through its pipe instead of through shared memory."""
    ForkingPickler.register(torch.Tensor, _by_value)


def _by_value(tensor: Tensor) -> tuple[Any, ...]:
    return torch.from_numpy, (tensor.numpy(),)


@contextmanager
def ended_readers_named(stop_signal: Callable[[], int | None] = lambda: None) -> Iterator[None]:
    """Turn what torch raises where a reader has ended, anywhere in the block, into a sentence.

    Args:
        stop_signal: Returns the signal that stops this process, which may have ended the readers too.

    Raises:
        DataError: For a reader's end.
        Interrupted: Where this process is to stop.
    """
    try:
        yield
    except RuntimeError as error:
        if not (match := _ENDED.search(str(error))):
            raise
        if number := stop_signal():
            raise Interrupted(number) from error
        raise DataError(
            f"data.num_workers: a process that reads ahead has ended or does not answer ({match[0]}), often "
            f"for want of memory; {_REMEDY}."
        ) from error
