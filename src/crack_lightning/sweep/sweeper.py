"""A sweep from its command line to its comparison, and its resumption."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crack_lightning.runtime.errors import ConfigError, FailedJobsError
from crack_lightning.runtime.files.paths import expand_user
from crack_lightning.runtime.files.run_folder import lock_folder
from crack_lightning.runtime.files.untrusted_files import COUNT, require_plain_folder, require_shape
from crack_lightning.sweep.folders import job_folder, new_folder, sweep_folder
from crack_lightning.sweep.job_configs import JobComposer, check_unchanged
from crack_lightning.sweep.job_queue import JobQueue
from crack_lightning.sweep.jobs.launchers import chosen_launcher
from crack_lightning.sweep.jobs.worker import CommandRun, head_batch
from crack_lightning.sweep.journal import FAILED, PLANNED, Job, Journal
from crack_lightning.sweep.progress import SweepProgress
from crack_lightning.sweep.resources import allocate_resources
from crack_lightning.sweep.retention import (
    WeightRetention,
    check_disk_space,
    expected_bytes,
    format_bytes,
    weight_bytes,
)
from crack_lightning.sweep.scheduler import Scheduler
from crack_lightning.sweep.search.space import corner_trials, require_in_space

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hydra.types import HydraContext
    from omegaconf import DictConfig

    from crack_lightning.sweep.jobs.launchers import ChosenLauncher
    from crack_lightning.sweep.resources import Resources
    from crack_lightning.sweep.search.search import Search


def run_sweep(arguments: Sequence[str], *, context: HydraContext, config: DictConfig) -> list[Job]:
    """Run every combination that the arguments describe, each in a process of its own.

    Args:
        arguments: Overrides in Hydra's grammar; ``a=1,2`` gives two jobs.
        context: Hydra's context, which composes each job's configuration.
        config: The sweep's configuration, with the ``hydra`` node.

    Returns:
        The jobs, all done.

    Raises:
        ConfigError: If any job's configuration is wrong; none is started then.
        FailedJobsError: If a job failed; the others were run.
    """
    composer = JobComposer(arguments, context=context, config=config)
    launcher = chosen_launcher(config, pruner=composer.sweep.pruner)
    allocate = launcher.allocate_resources if launcher else allocate_resources
    settings, combinations = _resumable_settings(composer)
    configs = [composer.compose(combination) for combination in combinations]
    base, chosen = Path(expand_user(str(configs[0]["outputs"]))) / "multirun", composer.folder
    with ExitStack() as stack:
        if composer.sweep.resume is not None:
            journal = Journal(sweep_folder(composer.sweep.resume, base, chosen=chosen))
            require_plain_folder(journal.folder, key="sweep.resume")
            stack.enter_context(lock_folder(journal.folder))
            jobs = _read_planned(journal, composer, settings, list(zip(combinations, configs, strict=True)))
            resources = allocate(composer.sweep.jobs, [job.config for job in jobs] or configs)
            remaining = configs if composer.searches else [job.config for job in jobs if not job.ended]
            size = _check_size(composer, remaining, resources, journal.folder, jobs)
        else:
            resources = allocate(composer.sweep.jobs, configs)
            size = _check_size(composer, configs, resources, chosen or base, [])
            journal = Journal(new_folder(chosen, base))
            stack.enter_context(lock_folder(journal.folder))
            journal.begin(**settings, threads=resources.threads)
            jobs = []
            if not composer.searches:
                for combination, job_config in zip(combinations, configs, strict=True):
                    jobs.append(_plan_job(composer, journal, jobs, combination, job_config))
        _run(composer, journal, jobs, resources, size=size, launcher=launcher)
    check_done(jobs, journal.folder)
    return jobs


def _resumable_settings(composer: JobComposer) -> tuple[dict[str, Any], list[list[str]]]:
    """Return the settings that a resumed sweep must repeat, and overrides of its jobs or corner trials."""
    settings: dict[str, Any] = {"command": composer.command}
    if not composer.searches:
        return settings, composer.combinations()
    from crack_lightning.sweep.search.search import check_search

    dimensions = composer.dimensions()
    check_search(composer.sweep, dimensions)
    names = ("search", "objectives", "pruner", "prune_after")
    settings["sweep"] = {name: getattr(composer.sweep, name) for name in names}
    settings["space"] = {item.key: json.loads(json.dumps(vars(item))) for item in dimensions}
    return settings, [composer.trial(example) for example in corner_trials(dimensions)]


def _plan_job(
    composer: JobComposer,
    journal: Journal,
    jobs: list[Job],
    overrides: list[str],
    config: dict[str, Any],
    **more: Any,
) -> Job:
    threads, number = journal.settings().get("threads"), len(jobs)
    config["trainer"]["threads"] = config["trainer"]["threads"] or threads
    folder = job_folder(composer, journal.folder, overrides, jobs)
    job = Job(number=number, folder=folder, overrides=overrides, config=config, **more)
    journal.plan(job)
    return job


def _read_planned(
    journal: Journal,
    composer: JobComposer,
    settings: dict[str, Any],
    composed: list[tuple[list[str], dict[str, Any]]],
) -> list[Job]:
    """Return the jobs of a resumed sweep with their states.

    The journal is untrusted: each job's configuration is composed anew from this command line.
    """
    planned, jobs = journal.read()
    if planned["command"] != composer.command:
        raise ConfigError(
            f"sweep.resume: '{journal.folder}' is a sweep of {planned['command']}, got {composer.command}."
        )
    check_unchanged("the sweep", planned, {**settings, "threads": planned.get("threads")})
    if composer.searches:
        composed = [_compose_proposal(composer, job) for job in jobs]
    if len(jobs) != len(composed):
        raise ConfigError(
            f"sweep.resume: the sweep has {len(jobs)} jobs, and this command line makes {len(composed)}; "
            "repeat the command that started it."
        )
    for job, (overrides, config) in zip(jobs, composed, strict=True):
        job.folder = job_folder(composer, journal.folder, overrides, jobs[: job.number])
        config["trainer"]["threads"] = config["trainer"]["threads"] or _planned_threads(job, journal)
        check_unchanged(f"job {job.number}", job.config, config)
        job.config, job.overrides = config, overrides
    return jobs


def _compose_proposal(composer: JobComposer, job: Job) -> tuple[list[str], dict[str, Any]]:
    require_in_space(job.params, composer.dimensions(), job=job.number)
    overrides = composer.trial(job.params)
    return overrides, composer.compose(overrides, checked=False)


def _planned_threads(job: Job, journal: Journal) -> int | None:
    try:
        require_shape(job.config, {"trainer": {"threads": (COUNT, None)}})
    except ValueError as error:
        raise journal.damaged(error) from None
    threads: int | None = job.config["trainer"].get("threads")
    return threads


def _check_size(
    composer: JobComposer, configs: list[dict[str, Any]], resources: Resources, folder: Path, jobs: list[Job]
) -> int:
    """Return the bytes of the remaining jobs, each trial of a search counted as the largest network."""
    if composer.command != "train" or not configs:
        return 0
    sweep = composer.sweep
    weights = weight_bytes(configs)
    if composer.searches:
        weights = [max(weights)] * (sweep.trials - sum(job.ended for job in jobs))
    expected = expected_bytes(weights, keep=sweep.keep, at_once=len(resources.environments))
    check_disk_space(expected, folder, keep=sweep.keep)
    return expected


def _run(
    composer: JobComposer,
    journal: Journal,
    jobs: list[Job],
    resources: Resources,
    *,
    size: int,
    launcher: ChosenLauncher | None,
) -> None:
    sweep, at_once = composer.sweep, len(resources.environments)
    search = _search(composer, journal, jobs, at_once=at_once) if composer.searches else None
    total = sweep.trials if search else len(jobs)
    progress = SweepProgress(
        jobs,
        journal.folder,
        total=total,
        compares=composer.command == "train",
        pictures=search.pictures if search else dict,
    )
    num_remaining = total - sum(job.ended for job in jobs)
    progress.say(f"sweep: {journal.folder}, {total} jobs, {num_remaining} to do, {at_once} at once")
    if size:
        progress.say(f"  at most about {format_bytes(size)} on the disk (sweep.keep={sweep.keep})")
    with progress:
        Scheduler(
            search or JobQueue([job for job in jobs if not job.ended]),
            run=launcher.build_run(composer.command) if launcher else CommandRun(composer.command),
            journal=journal,
            watcher=progress,
            environments=resources.environments,
            retries=sweep.retries,
            max_failures=sweep.max_failures,
            weights=WeightRetention(sweep.keep, jobs),
            prunes=sweep.pruner != "none",
            batch_of=head_batch if launcher is None else lambda _: None,
        ).work()
    progress.close()


def _search(composer: JobComposer, journal: Journal, jobs: list[Job], *, at_once: int) -> Search:
    from crack_lightning.sweep.search.search import Search

    def plan(params: dict[str, Any]) -> Job:
        overrides = composer.trial(params)
        config = composer.compose(overrides, checked=False)  # an invalid one fails in its job
        return _plan_job(composer, journal, jobs, overrides, config, params=params)

    seed = int(composer.compose(composer.fixed)["seed"])
    settings, dimensions = composer.sweep, composer.dimensions()
    return Search(settings, dimensions, seed=seed, at_once=at_once, jobs=jobs, journal=journal, plan=plan)


def check_done(jobs: Sequence[Job], folder: Path) -> None:
    """Raise if a job failed or was left out.

    Raises:
        FailedJobsError: With the jobs' numbers and how to go on.
    """
    failed = [str(job.number) for job in jobs if job.state == FAILED]
    waiting = sum(job.state == PLANNED for job in jobs)
    if failed:
        more = f", and {waiting} were not started (sweep.max_failures)" if waiting else ""
        raise FailedJobsError(
            f"{len(failed)} of {len(jobs)} jobs failed: {', '.join(failed)}{more}. When the cause is gone, "
            f"repeat the command with sweep.resume={folder}; what is done stays."
        )
