"""A grid of overrides, checked as a whole before its first job, and run job by job."""

from __future__ import annotations

import csv
import importlib
import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console
from rich.table import Table

from crack_lightning.config import parse
from crack_lightning.errors import ConfigError, FailedJobsError, Interrupted
from crack_lightning.run_folder import create_run_folder, whole_file
from crack_lightning.sweep.jobs import CONSOLE, job_context, start_job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hydra.types import HydraContext


@dataclass(kw_only=True)
class Job:
    """One run of a sweep.

    Attributes:
        folder: Where it writes.
        overrides: What makes it, ``key=value`` each.
        config: Its composed configuration as plain values.
        exit_code: ``None`` until it has ended; negative for a signal.
    """

    folder: Path
    overrides: list[str]
    config: dict[str, Any]
    exit_code: int | None = None

    @property
    def status(self) -> str:
        """How the job ended, in words."""
        if self.exit_code is None:
            return "not run"
        if self.exit_code < 0:
            return f"killed by {signal.Signals(-self.exit_code).name}"
        return "done" if self.exit_code == 0 else f"failed, see {self.folder.name}/{CONSOLE}"

    def metrics(self) -> dict[str, float]:
        """Return its test figures; none while there is no report."""
        path = self.folder / "report" / "report.json"
        found: dict[str, float] = (
            json.loads(path.read_text(encoding="utf-8"))["metrics"] if path.exists() else {}
        )
        return found


def run_sweep(arguments: Sequence[str], *, context: HydraContext, config: DictConfig) -> list[Job]:
    """Run every combination that the arguments describe, each in a process of its own.

    Args:
        arguments: Overrides in Hydra's grammar; ``a=1,2`` gives two jobs.
        context: Hydra's, to compose each job's configuration.
        config: The sweep's configuration, with the ``hydra`` node.

    Returns:
        The jobs, all done.

    Raises:
        ConfigError: If any job's configuration is wrong; none is started then.
        FailedJobsError: If a job failed; the others were run.
    """
    command = str(config.hydra.job.config_name)
    schema = importlib.import_module(f"crack_lightning.{command}").SCHEMA
    parsed = OverridesParser.create().parse_overrides(list(arguments))
    combinations = BasicSweeper.split_arguments(parsed, max_batch_size=None)[0]
    configs = []
    for combination in combinations:
        composed = context.config_loader.load_sweep_config(config, list(combination))
        with open_dict(composed):
            del composed["hydra"]
        checked = parse(composed, schema)
        if getattr(checked, "resume", None):
            raise ConfigError(
                f"resume: one run at a time goes on, got '{checked.resume}' in a sweep; leave out -m."
            )
        configs.append(cast("dict[str, Any]", OmegaConf.to_container(composed, resolve=True)))
    base = Path(str(configs[0]["outputs"])) / "multirun"
    folder = create_run_folder(base, "")
    jobs = [
        Job(folder=folder / str(number), overrides=list(combination), config=job_config)
        for number, (combination, job_config) in enumerate(zip(combinations, configs, strict=True))
    ]
    _run_jobs(jobs, command=command, folder=folder)
    failed = [job for job in jobs if job.exit_code != 0]
    if failed:
        raise FailedJobsError(
            f"{len(failed)} of {len(jobs)} jobs failed: {', '.join(job.folder.name for job in failed)}."
        )
    return jobs


def _run_jobs(jobs: list[Job], *, command: str, folder: Path) -> None:
    console = Console()
    console.print(f"sweep: {folder}, {len(jobs)} jobs")
    context = job_context()
    for number, job in enumerate(jobs, start=1):
        job.folder.mkdir()
        console.print(f"job {number} of {len(jobs)}: {' '.join(job.overrides)}", highlight=False)
        process = start_job(
            context, command=command, config=job.config, overrides=job.overrides, folder=job.folder
        )
        try:
            process.join()
        except BaseException:
            process.terminate()
            process.join()
            raise
        job.exit_code = process.exitcode
        if job.exit_code in (128 + signal.SIGINT, 128 + signal.SIGTERM):
            raise Interrupted(job.exit_code - 128)
        _show_end(console, job)
        _write_table(jobs, folder / "jobs.csv")
    console.print(_closing_table(jobs, folder))
    if command == "train" and sum(bool(job.metrics()) for job in jobs) > 1:
        from crack_lightning.sweep.comparison import write_comparison

        write_comparison([folder], folder, title=f"Sweep {folder.name}")
        console.print(f"Comparison: {folder / 'comparison.html'}", highlight=False, soft_wrap=True)


def _show_end(console: Console, job: Job) -> None:
    accuracy = job.metrics().get("accuracy")
    console.print(
        f"  {job.status}" + (f", accuracy {accuracy:.4f}" if accuracy is not None else ""), highlight=False
    )
    if job.exit_code:
        text = (job.folder / CONSOLE).read_text(encoding="utf-8", errors="replace")
        console.print(
            "\n".join(f"  | {line}" for line in text.splitlines()[-3:]), highlight=False, markup=False
        )


def _write_table(jobs: list[Job], path: Path) -> None:
    names = sorted({name for job in jobs for name in job.metrics()})
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["job", "status", "overrides", *names])
        for job in jobs:
            metrics = job.metrics()
            writer.writerow(
                [job.folder.name, job.status, " ".join(job.overrides), *(metrics.get(name) for name in names)]
            )


def _closing_table(jobs: list[Job], folder: Path) -> Table:
    table = Table(title=str(folder), title_justify="left")
    for column in ("job", "overrides", "status", "accuracy"):
        table.add_column(column, overflow="fold")
    for job in jobs:
        accuracy = job.metrics().get("accuracy")
        shown = "" if accuracy is None else f"{accuracy:.2%}"
        table.add_row(job.folder.name, " ".join(job.overrides), job.status, shown)
    return table
