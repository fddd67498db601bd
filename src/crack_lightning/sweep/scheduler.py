"""The scheduler: starts jobs as slots become free, records how they end, and retries failed ones."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Protocol

from crack_lightning.runtime.files.run_folder import OUTCOME
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
    from collections.abc import Callable, Mapping, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

    from crack_lightning.sweep.job_queue import JobSource
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


@dataclass(kw_only=True, eq=False)
class _Running:
    job: Job
    process: BaseProcess
    environment: Mapping[str, str]
    pipe: Connection | None
    batch: str | None


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
        prunes: Whether jobs report metrics while they run and may be pruned.
        batch_of: Returns a key that is equal for jobs that may run in turn in one process; ``None`` for
            a process of its own, the default.
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
        batch_of: Callable[[Job], str | None] = lambda _: None,
        context: BaseContext | None = None,
    ) -> None:
        self.source, self.run, self.journal, self.watcher = source, run, journal, watcher
        self.retries, self.max_failures, self.prunes = retries, max_failures, prunes
        self.weights, self.batch_of = weights or WeightRetention("all"), batch_of
        self._free = deque(environments)
        self._running: list[_Running] = []
        self._again: deque[Job] = deque()
        self._drawn: deque[Job] = deque()  # from the source, but of another batch than the free process
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
                            self._receive(running, running.pipe)
                        if running in self._running and not running.process.is_alive():
                            self._end(running)
            except BaseException:
                self._stop()
                raise

    def _fill(self) -> bool:
        """Start jobs while slots are free; return whether any job is running."""
        while self._free and (job := self._next()) is not None:
            batch, environment = self.batch_of(job), self._free.popleft()
            pipe, end = self._context.Pipe() if self.prunes or batch else (None, None)
            self._prepare(job)
            process = start_job(
                self._context,
                job,
                run=self.run,
                environment=environment,
                pipe=end,
                followed=batch is not None,
            )
            if end:
                end.close()  # the job holds it now; this copy would hide the job's death
            self._running.append(
                _Running(job=job, process=process, environment=environment, pipe=pipe, batch=batch)
            )
            self.watcher.started(job)
        return bool(self._running)

    def _prepare(self, job: Job) -> None:
        """Record that a job runs, and remove the outcome of an earlier attempt from its folder."""
        job.state, job.reason, job.attempts = RUNNING, "", job.attempts + 1
        self.journal.note(job)
        job.folder.mkdir(parents=True, exist_ok=True)
        (job.folder / OUTCOME).unlink(missing_ok=True)

    def _next(self) -> Job | None:
        given_up = sum(failures > self.retries for failures in self._failures.values())
        if self.max_failures is not None and given_up >= self.max_failures:
            return None
        if self._drawn:
            return self._drawn.popleft()
        while (job := self.source.next()) is not None:
            if not self._ended_before_resume(job):
                return job
        return self._again.popleft() if self._again else None

    def _ended_before_resume(self, job: Job) -> bool:
        """Record the end of a job that outlived an interrupted sweep; return whether it has ended."""
        outcome = read_outcome(job)
        if outcome is None or outcome[0] == FAILED:
            return False
        job.state, job.reason = outcome
        self._ended(job)
        return True

    def _receive(self, running: _Running, pipe: Connection) -> None:
        """Receive a job's metrics and reply whether to prune it, or its end; ignore a closed pipe."""
        try:
            figures = pipe.recv()
        except (EOFError, OSError):
            return
        if figures is None:
            self._follow(running, pipe)
            return
        prune = self.source.report(running.job, *figures)
        with contextlib.suppress(OSError):
            pipe.send(prune)

    def _follow(self, running: _Running, pipe: Connection) -> None:
        """Record the end of a job whose process is free, and give it another job of its batch, if any."""
        self._judge(running.job, exit_code=0)
        following = self._next()
        if following is None or self.batch_of(following) != running.batch:
            self._drawn.extend([following] if following else [])
            with contextlib.suppress(OSError):
                pipe.send(None)
            self._remove(running)
            return
        self._prepare(following)
        running.job = following
        with contextlib.suppress(OSError):  # where the process was killed meanwhile, its end is recorded
            pipe.send(following)
        self.watcher.started(following)

    def _end(self, running: _Running) -> None:
        self._remove(running)
        self._judge(running.job, exit_code=running.process.exitcode)

    def _remove(self, running: _Running) -> None:
        running.process.join()
        if running.pipe:
            running.pipe.close()
        self._running.remove(running)
        self._free.append(running.environment)

    def _judge(self, job: Job, *, exit_code: int | None) -> None:
        """Record how a job ended."""
        job.state, job.reason = read_outcome(job) or (FAILED, describe_failure(exit_code))
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
            if running.job.state != RUNNING:  # judged, and no other has followed it yet
                continue
            if outcome := read_outcome(running.job):
                running.job.state, running.job.reason = outcome
                self._ended(running.job)
            else:
                running.job.state = PLANNED
                self.journal.note(running.job)
