"""The scheduler: starts jobs as slots become free, records how they end, and retries failed ones."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Protocol

from crack_lightning.runtime.processes import raise_on_sigterm
from crack_lightning.sweep.jobs.worker import (
    describe_failure,
    job_context,
    mark_failed,
    read_outcome,
    start_job,
    write_outcome,
)
from crack_lightning.sweep.journal import FAILED, PLANNED, RUNNING
from crack_lightning.sweep.retention import WeightRetention

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

    from crack_lightning.sweep.jobs.worker import Run
    from crack_lightning.sweep.journal import Job, Journal

GRACE_S = 120.0
"""Seconds that jobs have after SIGTERM to write their last checkpoint."""


class Observer(Protocol):
    """An observer of the scheduler."""

    def started(self, job: Job) -> None:
        """Handle the start of a job."""

    def ended(self, job: Job) -> None:
        """Handle the end of a job, which may be retried."""

    def on_idle(self) -> None:
        """Handle idle time: every slot is taken until a job ends."""


class JobSource(Protocol):
    """A producer of jobs."""

    def next(self) -> Job | None:
        """Return a job to run, or ``None`` when there is none left."""

    def ended(self, job: Job) -> None:
        """Handle the end of a job; may set its values."""

    def report(self, job: Job, done: float, figures: Mapping[str, float]) -> bool:
        """Handle validation figures after a share ``done`` of a job's epochs; return whether to prune it."""


class JobQueue:
    """The jobs of a grid, of which none is pruned."""

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


@dataclass(frozen=True, kw_only=True)
class _Running:
    job: Job
    process: BaseProcess
    environment: Mapping[str, str]
    pipe: Connection | None


class Scheduler:
    """Runs jobs in processes, one per environment at a time.

    Args:
        source: Producer of the jobs.
        run: The callable that a job's process runs.
        journal: Record of the jobs' states.
        watcher: Observer of the jobs.
        environments: Environment variables added to a job's process; one mapping per slot.
        retries: Number of retries of a failed job.
        max_failures: Number of failed jobs after which no other is started.
        weights: Retention of weights; keeps all by default.
        prunes: Whether jobs report figures while they run and may be pruned.
        context: Multiprocessing context; :func:`~crack_lightning.sweep.jobs.worker.job_context` by default.
    """

    def __init__(
        self,
        source: JobSource,
        *,
        run: Run,
        journal: Journal,
        watcher: Observer,
        environments: Sequence[Mapping[str, str]],
        retries: int = 0,
        max_failures: int | None = None,
        weights: WeightRetention | None = None,
        prunes: bool = False,
        context: BaseContext | None = None,
    ) -> None:
        self.source, self.run, self.journal, self.watcher = source, run, journal, watcher
        self.retries, self.max_failures, self.prunes = retries, max_failures, prunes
        self.weights = weights or WeightRetention("all")
        self._free = deque(environments)
        self._running: list[_Running] = []
        self._again: deque[Job] = deque()
        self._failures: Counter[int] = Counter()
        self._context = context or job_context()

    def work(self) -> None:
        """Run all jobs.

        Raises:
            KeyboardInterrupt: On SIGINT, after the running jobs were stopped.
            Interrupted: On SIGTERM, likewise.
        """
        with raise_on_sigterm():
            try:
                while self._fill():
                    self.watcher.on_idle()
                    lines = [running.pipe for running in self._running if running.pipe]
                    ready = wait([*lines, *(running.process.sentinel for running in self._running)])
                    for running in [*self._running]:
                        if running.pipe and running.pipe in ready:
                            self._exchange_report(running.job, running.pipe)
                        if not running.process.is_alive():
                            self._end(running)
            except BaseException:
                self._stop()
                raise

    def _fill(self) -> bool:
        """Start jobs while slots are free; return whether any job is running."""
        while self._free and (job := self._next()) is not None:
            job.state, job.reason, job.attempts = RUNNING, "", job.attempts + 1
            self.journal.note(job)
            environment = self._free.popleft()
            pipe, end = self._context.Pipe() if self.prunes else (None, None)
            process = start_job(self._context, job, run=self.run, environment=environment, pipe=end)
            if end:
                end.close()  # the job holds it now; this copy would hide the job's death
            self._running.append(_Running(job=job, process=process, environment=environment, pipe=pipe))
            self.watcher.started(job)
        return bool(self._running)

    def _next(self) -> Job | None:
        given_up = sum(failures > self.retries for failures in self._failures.values())
        if self.max_failures is not None and given_up >= self.max_failures:
            return None
        while (job := self.source.next()) is not None:
            if not self._ended_before_resume(job):
                return job
        return self._again.popleft() if self._again else None

    def _ended_before_resume(self, job: Job) -> bool:
        """Record the end of a job that outlived the sweep before this one; return whether it had ended."""
        outcome = read_outcome(job)
        if outcome is None or outcome[0] == FAILED:
            return False
        job.state, job.reason = outcome
        self._ended(job)
        return True

    def _exchange_report(self, job: Job, pipe: Connection) -> None:
        """Receive a job's figures and reply whether to prune it; ignore a closed pipe."""
        with contextlib.suppress(EOFError, OSError):
            pipe.send(self.source.report(job, *pipe.recv()))

    def _end(self, running: _Running) -> None:
        job = running.job
        running.process.join()
        job.state, job.reason = read_outcome(job) or (FAILED, describe_failure(running.process.exitcode))
        if running.pipe:
            running.pipe.close()
        self._running.remove(running)
        self._free.append(running.environment)
        if job.state == FAILED:
            with contextlib.suppress(OSError):  # a full disk may be the cause; the journal records it, too
                write_outcome(job.folder, FAILED, job.reason)
                mark_failed(self._context, job)
        self._ended(job)

    def _ended(self, job: Job) -> None:
        self.source.ended(job)
        self.journal.note(job)
        self.weights.ended(job)
        if job.state == FAILED:
            self._failures[job.number] += 1
            if self._failures[job.number] <= self.retries:
                self._again.append(job)
        self.watcher.ended(job)

    def _stop(self) -> None:
        """Send SIGTERM to all jobs so that they write a checkpoint, then kill those that do not end."""
        for running in self._running:
            running.process.terminate()
        deadline = time.monotonic() + GRACE_S
        for running in self._running:
            running.process.join(max(0.0, deadline - time.monotonic()))
            running.process.kill()
            running.process.join()
            if outcome := read_outcome(running.job):
                running.job.state, running.job.reason = outcome
                self._ended(running.job)
            else:
                running.job.state = PLANNED
                self.journal.note(running.job)
