"""Progress of a sweep: console lines, the table of jobs, the comparison of runs."""

from __future__ import annotations

import contextlib
import shlex
import time
import traceback
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.files.atomic_write import write_text
from crack_lightning.runtime.files.csv_files import write_table
from crack_lightning.sweep.jobs.worker import CONSOLE
from crack_lightning.sweep.journal import DONE, FAILED, PRUNED, RUNNING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from matplotlib.figure import Figure

    from crack_lightning.sweep.journal import Job


_LEAST_REST = 10
"""Shortest pause before the comparison is written again, in multiples of the time that it took."""


class SweepProgress:
    """Prints a line per job, and in terminals a live table; rewrites the comparison as jobs end.

    Args:
        jobs: All jobs of the sweep; may grow.
        folder: The sweep's folder.
        total: Number of jobs in the end.
        compares: Whether the jobs' runs can be compared.
        console: Standard output by default.
        pictures: Returns further figures of the comparison: figure and caption by file name.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        folder: Path,
        *,
        total: int,
        compares: bool,
        console: Console | None = None,
        pictures: Callable[[], Mapping[str, tuple[Figure, str]]] = dict,
    ) -> None:
        self.jobs, self.folder, self.total, self.compares = jobs, folder, total, compares
        self.console, self.pictures = console or Console(), pictures
        self._began = time.monotonic()
        self._ended, self._compared_until = 0, -1e9
        self._by_source: list[Table] = []
        self._shared: set[str] = set()
        self._num_compared_overrides = 0
        self._printed_failures: set[str] = set()
        self._compare_s, self._stale, self._summary = 0.0, False, self.summary()
        self._since: dict[int, float] = {}
        self._live = Live(get_renderable=self._running, console=self.console, refresh_per_second=2)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def started(self, job: Job) -> None:
        """Print that a job starts, or starts again."""
        self._since[job.number] = time.monotonic()
        again = f" (attempt {job.attempts})" if job.attempts > 1 else ""
        self.say(f"job {job.number} of {self.total}{again}: {' '.join(self.own_overrides(job))}")

    def ended(self, job: Job) -> None:
        """Print how a job ended, with the end of its output where it failed."""
        self.say(f"job {job.number} {job.status}{''.join(f', {text}' for text in figures(job))}")
        if job.state == FAILED:
            with contextlib.suppress(OSError):
                text = (job.folder / CONSOLE).read_text(encoding="utf-8", errors="replace")
                self.say("\n".join(f"  | {line}" for line in text.splitlines()[-3:]))
        self._ended += 1
        self._summary = self.summary()
        if self.console.is_terminal:
            self._live.refresh()
        else:
            self.say(f"  {self._summary}")
        self._write_or_print_error("jobs.csv", lambda: write_jobs_table(self.jobs, self.folder / "jobs.csv"))
        self._stale = True

    def on_idle(self) -> None:
        """Rewrite an outdated comparison; take at most a tenth of the time."""
        rested = time.monotonic() - self._compared_until
        if self._stale and rested > _LEAST_REST * self._compare_s:
            self.compare()

    def summary(self) -> str:
        """Return counts of jobs, the best so far and the estimated remaining time, in a sentence."""
        done = [job for job in self.jobs if job.state == DONE]
        counts = {state: sum(job.state == state for job in self.jobs) for state in (FAILED, PRUNED)}
        parts = [f"{len(done)} of {self.total} done"]
        parts += [f"{number} {state}" for state, number in counts.items() if number]
        if best := best_job(done):
            parts.append(f"best so far job {best.number} ({', '.join(figures(best))})")
        left = self.total - len(done) - sum(counts.values())
        if self._ended and left:
            parts.append(f"about {(time.monotonic() - self._began) / self._ended * left:.0f} s left")
        return "; ".join(parts)

    def compare(self) -> bool:
        """Write the comparison of the runs so far, if two or more; return whether it was written."""
        began, self._stale = time.monotonic(), False
        if not self.compares or sum(bool(_metrics(job)) for job in self.jobs) < 2:
            return False
        written = self._write_or_print_error("comparison.html", self._write_comparison)
        self._compared_until = time.monotonic()
        self._compare_s = self._compared_until - began
        return written

    def _write_comparison(self) -> None:
        from crack_lightning.comparison.comparison import compare_folders, write_comparison
        from crack_lightning.comparison.tables import by_source

        without = [
            {"run": str(job.number), "overrides": self.own_overrides(job), "status": job.status}
            for job in self.jobs
            if job.state in (FAILED, PRUNED)
        ]
        contents = compare_folders([self.folder], without=without)
        write_comparison(contents, self.folder, title=f"Sweep {self.folder.name}", pictures=self.pictures())
        self._by_source = by_source(contents["transfer"])

    def _write_or_print_error(self, name: str, write: Callable[[], None]) -> bool:
        """Write a file about the sweep; print an error once, store its traceback and continue."""
        try:
            write()
        except Exception as error:  # noqa: BLE001  # the jobs and their results are whole without it
            reason = " ".join([f"{type(error).__name__}:", *str(error).splitlines()[:1]])
            if f"{name} {reason}" not in self._printed_failures:
                self._printed_failures.add(f"{name} {reason}")
                again = f"python -m crack_lightning.compare {shlex.quote(str(self.folder))}"
                self.say(
                    f"'{self.folder / name}' could not be written ({reason}); all jobs and their results are "
                    f"kept. When the cause is gone, make the comparison again: {again}"
                )
                self._keep_traceback(self.folder / f"{name}.traceback.txt")
            return False
        return True

    def _keep_traceback(self, path: Path) -> None:
        """Write the traceback of the error at hand, or print it where that fails."""
        try:
            write_text(path, traceback.format_exc())
        except OSError:
            self.say(traceback.format_exc())
        else:
            self.say(f"  traceback: {path}")

    def _running(self) -> Group:
        table = Table()
        for column in ("job", "overrides", "state", "seconds"):
            table.add_column(column, overflow="fold")
        for job in self.jobs:
            if job.state == RUNNING:
                seconds = time.monotonic() - self._since.get(job.number, self._began)
                table.add_row(
                    str(job.number), Text(" ".join(self.own_overrides(job))), job.state, f"{seconds:.0f}"
                )
        return Group(table, Text(self._summary))

    def own_overrides(self, job: Job) -> list[str]:
        """Return the overrides of a job that not all jobs share; all of them for a single job."""
        if job.params:
            return [f"{key}={value}" for key, value in job.params.items()]
        for other in self.jobs[self._num_compared_overrides :]:
            shared = self._shared if self._num_compared_overrides else set(other.overrides)
            self._shared = shared.intersection(other.overrides)
            self._num_compared_overrides += 1
        return [item for item in job.overrides if len(self.jobs) == 1 or item not in self._shared]

    def close(self) -> None:
        """Print the table of all jobs, and write the comparison."""
        self._live.stop()
        table = Table(title=Text(str(self.folder)), title_justify="left")
        for column in ("job", "overrides", "state", "figures"):
            table.add_column(column, overflow="fold")
        for job in self.jobs:
            shown = ", ".join(figures(job))
            table.add_row(str(job.number), Text(" ".join(self.own_overrides(job))), Text(job.status), shown)
        self.console.print(table)
        self._printed_failures.clear()
        if self.compare():
            for table_of_source in self._by_source:
                self.console.print(table_of_source)
            self.say(f"Comparison: {self.folder / 'comparison.html'}")

    def say(self, text: str) -> None:
        """Print text without markup."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def best_job(jobs: Sequence[Job]) -> Job | None:
    """Return the job that is best by the first objective of a search, else by test accuracy."""
    scores = [
        (_metrics(job).get("accuracy") if job.objective is None else job.objective, job) for job in jobs
    ]
    scored = [(score, job) for score, job in scores if score is not None]
    return max(scored, key=lambda pair: pair[0])[1] if scored else None


def _metrics(job: Job) -> dict[str, float]:
    """Return the known test metrics of a job; none of a damaged report."""
    try:
        metrics: Mapping[str, float | None] = job.metrics()
    except DataError:
        return {}
    return {name: value for name, value in metrics.items() if value is not None}


def figures(job: Job) -> list[str]:
    """Format the objectives of a job of a search, else its test accuracy."""
    accuracy = {name: value for name, value in _metrics(job).items() if name == "accuracy"}
    return [f"{name} {value:.4f}" for name, value in (job.values or accuracy).items()]


def write_jobs_table(jobs: Sequence[Job], path: Path) -> None:
    """Write number, status, overrides and test metrics of each job as CSV."""
    metrics = [_metrics(job) for job in jobs]
    names = sorted({name for job_metrics in metrics for name in job_metrics})
    rows = (
        [job.number, job.status, " ".join(job.overrides), *(job_metrics.get(name) for name in names)]
        for job, job_metrics in zip(jobs, metrics, strict=True)
    )
    write_table(path, ["job", "status", "overrides", *names], rows)
