"""What is seen of a sweep: lines while it runs, a table of its jobs, the comparison of its runs."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crack_lightning.run_folder import whole_file
from crack_lightning.sweep.jobs import CONSOLE
from crack_lightning.sweep.journal import FAILED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from crack_lightning.sweep.journal import Job


class Lines:
    """Tells of each job in lines, and keeps ``jobs.csv``.

    Args:
        jobs: All jobs of the sweep; may grow.
        folder: The sweep's folder.
        total: How many jobs there will be.
    """

    def __init__(self, jobs: Sequence[Job], folder: Path, *, total: int) -> None:
        self.jobs, self.folder, self.total = jobs, folder, total
        self.console = Console()

    def started(self, job: Job) -> None:
        """Say that a job starts, or starts again."""
        again = f" (attempt {job.attempts})" if job.attempts > 1 else ""
        self.say(f"job {job.number} of {self.total}{again}: {' '.join(self.own(job))}")

    def ended(self, job: Job) -> None:
        """Say how it ended, with the end of what it printed where it failed."""
        self.say(f"job {job.number} {job.status}{''.join(f', {text}' for text in figures(job))}")
        printed = job.folder / CONSOLE
        if job.state == FAILED and printed.exists():
            text = printed.read_text(encoding="utf-8", errors="replace")
            self.say("\n".join(f"  | {line}" for line in text.splitlines()[-3:]))
        write_jobs_table(self.jobs, self.folder / "jobs.csv")

    def own(self, job: Job) -> list[str]:
        """Return the overrides of a job that not all jobs share; all of them where there is one job."""
        if job.params:
            return [f"{key}={value}" for key, value in job.params.items()]
        shared = set(self.jobs[0].overrides).intersection(*(other.overrides for other in self.jobs))
        return [item for item in job.overrides if len(self.jobs) == 1 or item not in shared]

    def close(self) -> None:
        """Show all jobs in a table."""
        table = Table(title=Text(str(self.folder)), title_justify="left")
        for column in ("job", "overrides", "state", "figures"):
            table.add_column(column, overflow="fold")
        for job in self.jobs:
            shown = ", ".join(figures(job))
            table.add_row(str(job.number), Text(" ".join(self.own(job))), Text(job.status), shown)
        self.console.print(table)

    def say(self, text: str) -> None:
        """Print a line as it is."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def figures(job: Job) -> list[str]:
    """Return what a job is judged by: in a search its validation figures, else its test accuracy."""
    accuracy = {name: value for name, value in job.metrics().items() if name == "accuracy"}
    return [f"{name} {value:.4f}" for name, value in (job.values or accuracy).items()]


def write_jobs_table(jobs: Sequence[Job], path: Path) -> None:
    """Write a row a job: its number, its state in words, its overrides, its test figures."""
    metrics = [job.metrics() for job in jobs]
    names = sorted({name for found in metrics for name in found})
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["job", "status", "overrides", *names])
        for job, found in zip(jobs, metrics, strict=True):
            writer.writerow(
                [job.number, job.status, " ".join(job.overrides), *(found.get(name) for name in names)]
            )
