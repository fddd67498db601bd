"""Producers of a sweep's jobs: the interface, and the fixed list of a grid."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crack_lightning.sweep.journal import Job


class JobSource(Protocol):
    """A producer of jobs."""

    def next(self) -> Job | None:
        """Return a job to run, or ``None`` when there is none left."""

    def ended(self, job: Job) -> None:
        """Handle the end of a job; may set its values."""

    def report(self, job: Job, done: float, figures: Mapping[str, float]) -> bool:
        """Handle validation metrics after a share ``done`` of a job's epochs; return whether to prune it."""


class JobQueue:
    """The jobs of a grid, without pruning."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._queue = deque(jobs)

    def next(self) -> Job | None:
        """Return the next job, or ``None`` when there is none left."""
        return self._queue.popleft() if self._queue else None

    def ended(self, job: Job) -> None:
        """Do nothing."""

    def report(self, job: Job, done: float, figures: Mapping[str, float]) -> bool:
        """Return ``False``."""
        return False
