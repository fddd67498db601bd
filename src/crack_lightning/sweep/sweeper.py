"""A sweep from its command line to its comparison, and on again after a break."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crack_lightning.errors import ConfigError, FailedJobsError
from crack_lightning.run_folder import create_run_folder, sole_writer
from crack_lightning.sweep.composing import Composer, require_same
from crack_lightning.sweep.jobs import CommandRun
from crack_lightning.sweep.journal import DONE, FAILED, JOURNAL, PLANNED, Job, Journal
from crack_lightning.sweep.running import Grid, Runner
from crack_lightning.sweep.shares import share_out
from crack_lightning.sweep.watching import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hydra.types import HydraContext
    from omegaconf import DictConfig


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
    composer = Composer(arguments, context=context, config=config)
    combinations = composer.combinations()
    configs = [composer.compose(combination) for combination in combinations]
    base = Path(str(configs[0]["outputs"])) / "multirun"
    with ExitStack() as stack:
        if composer.sweep.resume:
            journal = Journal(sweep_folder(composer.sweep.resume, base))
            stack.enter_context(sole_writer(journal.folder))
            jobs = planned_jobs(journal, composer.command, configs)
            shares = share_out(composer.sweep.jobs, [job.config for job in jobs])
        else:
            shares = share_out(composer.sweep.jobs, configs)
            journal = Journal(create_run_folder(base, ""))
            stack.enter_context(sole_writer(journal.folder))
            jobs = _plan(journal, composer.command, combinations, configs, threads=shares.threads)
        left = [job for job in jobs if not job.ended]
        watcher = Lines(jobs, journal.folder, total=len(jobs))
        watcher.say(f"sweep: {journal.folder}, {len(jobs)} jobs, {len(left)} to do")
        Runner(
            Grid(left),
            run=CommandRun(composer.command),
            journal=journal,
            watcher=watcher,
            environments=shares.environments,
            retries=composer.sweep.retries,
            max_failures=composer.sweep.max_failures,
        ).work()
        watcher.close()
        if composer.command == "train":
            _compare(jobs, journal.folder, watcher)
    require_done(jobs, journal.folder)
    return jobs


def sweep_folder(resume: str, base: Path) -> Path:
    """Return the folder of the sweep that is to go on.

    Args:
        resume: A folder, or ``latest``.
        base: The folder of all sweeps, where the latest is looked for.

    Raises:
        ConfigError: If there is none yet.
    """
    if resume != "latest":
        return Path(resume)
    found = sorted(base.glob(f"*/*/{JOURNAL}"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ConfigError(f"sweep.resume: there is no sweep in '{base}' yet; leave it out to start one.")
    return found[-1].parent


def _plan(
    journal: Journal,
    command: str,
    combinations: Sequence[list[str]],
    configs: Sequence[dict[str, Any]],
    *,
    threads: int | None,
) -> list[Job]:
    journal.begin(command)
    jobs = []
    for number, (overrides, config) in enumerate(zip(combinations, configs, strict=True)):
        config["trainer"]["threads"] = config["trainer"]["threads"] or threads
        jobs.append(
            Job(number=number, folder=journal.folder / str(number), overrides=overrides, config=config)
        )
        journal.plan(jobs[-1])
    return jobs


def planned_jobs(journal: Journal, command: str, configs: Sequence[dict[str, Any]]) -> list[Job]:
    """Return the jobs of a sweep that goes on, as they stand.

    Raises:
        ConfigError: If they are not what the command line makes now.
    """
    began, jobs = journal.read()
    if began != command:
        raise ConfigError(f"sweep.resume: '{journal.folder}' is a sweep of {began}, got {command}.")
    for job, config in zip(jobs, configs, strict=False):
        config["trainer"]["threads"] = config["trainer"]["threads"] or job.config["trainer"]["threads"]
        job.config["progress"] = config["progress"]
    require_same(jobs, configs)
    return jobs


def _compare(jobs: Sequence[Job], folder: Path, watcher: Lines) -> None:
    if sum(bool(job.metrics()) for job in jobs) < 2:
        return
    from crack_lightning.sweep.comparison import write_comparison

    without = [job for job in jobs if job.state != DONE]
    write_comparison(
        [folder],
        folder,
        title=f"Sweep {folder.name}",
        without=[
            {"run": str(job.number), "overrides": job.overrides, "status": job.status} for job in without
        ],
    )
    watcher.say(f"Comparison: {folder / 'comparison.html'}")


def require_done(jobs: Sequence[Job], folder: Path) -> None:
    """Raise if a job failed or was left out.

    Raises:
        FailedJobsError: With the jobs' numbers and how to go on.
    """
    failed = [str(job.number) for job in jobs if job.state == FAILED]
    waiting = sum(job.state == PLANNED for job in jobs)
    if failed:
        left = f", and {waiting} were not started (sweep.max_failures)" if waiting else ""
        raise FailedJobsError(
            f"{len(failed)} of {len(jobs)} jobs failed: {', '.join(failed)}{left}. When the cause is gone, "
            f"repeat the command with sweep.resume={folder}; what is done stays."
        )
