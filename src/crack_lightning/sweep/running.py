"""Jobs at work: started as slots get free, their ends written down, the failed ones tried again."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Protocol

from crack_lightning.processes import sigterm_raises
from crack_lightning.sweep.disk import KeptWeights
from crack_lightning.sweep.jobs import (
    failure_of,
    job_context,
    keep_outcome,
    kept_outcome,
    mark_failed,
    start_job,
)
from crack_lightning.sweep.journal import FAILED, PLANNED, RUNNING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

    from crack_lightning.sweep.jobs import Run
    from crack_lightning.sweep.journal import Job, Journal

GRACE_S = 120.0
"""Seconds in which jobs that are asked to stop may write their last checkpoint."""


class Watcher(Protocol):
    """Who is told of the jobs."""

    def started(self, job: Job) -> None:
        """A job has started."""

    def ended(self, job: Job) -> None:
        """A job has ended; it may be tried again."""

    def waits(self) -> None:
        """As many jobs as may are running; until one ends there is time."""


class Source(Protocol):
    """Who decides which jobs are run."""

    def next(self) -> Job | None:
        """Return a job to run, or ``None`` when there is none left."""

    def ended(self, job: Job) -> None:
        """A job has ended; what it is judged by may be noted in it."""

    def report(self, job: Job, done: float, figures: Mapping[str, float]) -> bool:
        """A job tells which share of its epochs is done, and its figures; say whether to end it."""


class Grid:
    """Jobs that are known from the beginning.

    Args:
        jobs: Those that are left to do.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._left = deque(jobs)

    def next(self) -> Job | None:
        """Return the next job, or ``None`` when all were given out."""
        return self._left.popleft() if self._left else None

    def ended(self, job: Job) -> None:
        """Take note of nothing: the jobs are known."""

    def report(self, job: Job, done: float, figures: Mapping[str, float]) -> bool:
        """Let every job go on."""
        return False


@dataclass(frozen=True, kw_only=True)
class _Running:
    job: Job
    process: BaseProcess
    environment: Mapping[str, str]
    line: Connection | None


class Runner:
    """Runs jobs, as many at once as there are environments.

    Args:
        source: Gives the jobs out.
        run: What a job does.
        journal: Where their states are written.
        watcher: Who is told of them.
        environments: What a job's process has beside the sweep's variables, each for one job at once.
        retries: How often a failed job is started again.
        max_failures: Failed jobs with which no other is started.
        weights: Which jobs keep their weights; by default all.
        prunes: Whether jobs tell their figures while they run, and may be ended.
        context: How processes start; :func:`~crack_lightning.sweep.jobs.job_context` by default.
    """

    def __init__(
        self,
        source: Source,
        *,
        run: Run,
        journal: Journal,
        watcher: Watcher,
        environments: Sequence[Mapping[str, str]],
        retries: int = 0,
        max_failures: int | None = None,
        weights: KeptWeights | None = None,
        prunes: bool = False,
        context: BaseContext | None = None,
    ) -> None:
        self.source, self.run, self.journal, self.watcher = source, run, journal, watcher
        self.retries, self.max_failures, self.prunes = retries, max_failures, prunes
        self.weights = weights or KeptWeights("all")
        self._free = deque(environments)
        self._running: list[_Running] = []
        self._again: deque[Job] = deque()
        self._failures: Counter[int] = Counter()
        self._context = context or job_context()

    def work(self) -> None:
        """Run all jobs.

        Raises:
            KeyboardInterrupt: If Ctrl-C asked for a stop; the running jobs were stopped first.
            Interrupted: If SIGTERM did.
        """
        with sigterm_raises():
            try:
                while self._fill():
                    self.watcher.waits()
                    lines = [running.line for running in self._running if running.line]
                    ready = wait([*lines, *(running.process.sentinel for running in self._running)])
                    for running in [*self._running]:
                        if running.line and running.line in ready:
                            self._answer(running.job, running.line)
                        if not running.process.is_alive():
                            self._end(running)
            except BaseException:
                self._stop()
                raise

    def _fill(self) -> bool:
        """Start jobs while there is room; say whether any runs."""
        while self._free and (job := self._next()) is not None:
            job.state, job.reason, job.attempts = RUNNING, "", job.attempts + 1
            self.journal.note(job)
            environment = self._free.popleft()
            line, end = self._context.Pipe() if self.prunes else (None, None)
            process = start_job(self._context, job, run=self.run, environment=environment, line=end)
            if end:
                end.close()  # the job has it now, and its death is to be heard here
            self._running.append(_Running(job=job, process=process, environment=environment, line=line))
            self.watcher.started(job)
        return bool(self._running)

    def _next(self) -> Job | None:
        given_up = sum(failures > self.retries for failures in self._failures.values())
        if self.max_failures is not None and given_up >= self.max_failures:
            return None
        while (job := self.source.next()) is not None:
            if not self._ended_unseen(job):
                return job
        return self._again.popleft() if self._again else None

    def _ended_unseen(self, job: Job) -> bool:
        """Note the end of a job that the sweep before this one did not live to see."""
        told = kept_outcome(job)
        if told is None or told[0] == FAILED:
            return False
        job.state, job.reason = told
        self._ended(job)
        return True

    def _answer(self, job: Job, line: Connection) -> None:
        """Hear a job's figures and say whether to end it; a job that has ended says nothing more."""
        with contextlib.suppress(EOFError, OSError):
            line.send(self.source.report(job, *line.recv()))

    def _end(self, running: _Running) -> None:
        job = running.job
        running.process.join()
        job.state, job.reason = kept_outcome(job) or (FAILED, failure_of(running.process.exitcode))
        if running.line:
            running.line.close()
        self._running.remove(running)
        self._free.append(running.environment)
        if job.state == FAILED:
            with contextlib.suppress(OSError):  # a full disk may be what failed; the journal has it, too
                keep_outcome(job.folder, FAILED, job.reason)
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
        """Ask all jobs to stop where they can go on from, and end those that do not."""
        for running in self._running:
            running.process.terminate()
        deadline = time.monotonic() + GRACE_S
        for running in self._running:
            running.process.join(max(0.0, deadline - time.monotonic()))
            running.process.kill()
            running.process.join()
            if told := kept_outcome(running.job):
                running.job.state, running.job.reason = told
                self._ended(running.job)
            else:
                running.job.state = PLANNED
                self.journal.note(running.job)
