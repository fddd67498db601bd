"""Optuna's ask-and-tell search, which resumes from the sweep's journal with the same proposals."""

from __future__ import annotations

import warnings
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna

from crack_lightning.runtime.errors import ConfigError
from crack_lightning.sweep.jobs.job_files import read_validation
from crack_lightning.sweep.journal import DONE, PRUNED, is_maximised

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.figure import Figure

    from crack_lightning.config.nodes.sweep import SweepConfig
    from crack_lightning.sweep.journal import Job, Journal
    from crack_lightning.sweep.search.space import Dimension


class Search:
    """Produces the jobs that Optuna proposes, and reports their results to it.

    The state of a search is the sweep's journal alone: plain JSON, whereas Optuna's own storages hold
    pickles, which must not be read from an untrusted folder. A resumed search replays every trial in the
    journal's order. Each trial has its own sampler, seeded by the search's seed and the trial's number.

    Args:
        settings: The sweep's settings.
        dimensions: The search space.
        seed: Seed of the search.
        at_once: Number of jobs that run at once.
        jobs: The jobs planned so far; grows.
        journal: The events to replay.
        plan: Plans the job of a proposal, values by key.
    """

    def __init__(
        self,
        settings: SweepConfig,
        dimensions: Sequence[Dimension],
        *,
        seed: int,
        at_once: int,
        jobs: list[Job],
        journal: Journal,
        plan: Callable[[dict[str, Any]], Job],
    ) -> None:
        self.settings, self.dimensions, self.seed = settings, dimensions, seed
        self.at_once, self.jobs, self.journal, self.plan = at_once, jobs, journal, plan
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = optuna.create_study(
            study_name="sweep",  # Hyperband assigns trials to its brackets by it
            directions=["maximize" if is_maximised(name) else "minimize" for name in settings.objectives],
            pruner=_pruner(settings),
        )
        self._trials: dict[int, optuna.Trial] = {}
        try:
            for event in journal.events():
                self._replay(event)
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise journal.damaged(error) from None
        self._queue = deque(job for job in jobs if not job.ended)

    def next(self) -> Job | None:
        """Return a planned job that is not done, else a new one, until all trials are planned."""
        if self._queue:
            return self._queue.popleft()
        if len(self.jobs) >= self.settings.trials:
            return None
        job = self.plan(self._ask(len(self.jobs)))
        self.jobs.append(job)
        return job

    def ended(self, job: Job) -> None:
        """Report a job's objectives to Optuna; failed jobs are not reported."""
        if job.state == DONE:
            validation = read_validation(job.folder)
            job.values = {name: validation[name] for name in self.settings.objectives}
            self._tell(job.number, [*job.values.values()])
        elif job.state == PRUNED:
            self._tell(job.number, None)

    def report(self, job: Job, done: float, figures: Mapping[str, float]) -> bool:
        """Report the first objective after a share ``done`` of a job's epochs; return whether to prune it."""
        trial = self._trials[job.number]
        value = figures[self.settings.objectives[0]]
        self.journal.report(job, done, value)
        return self._report(trial, done, value)

    def pictures(self) -> dict[str, tuple[Figure, str]]:
        """Return figures of history and importance: figure and caption by file name."""
        from crack_lightning.sweep.search.figures import search_pictures

        return search_pictures(self.study, self.settings.objectives)

    def _report(self, trial: optuna.Trial, done: float, value: float) -> bool:
        step = _per_cent(done)
        if step not in self.study.get_trials(deepcopy=False)[trial.number].intermediate_values:
            trial.report(value, step)
        return trial.should_prune()

    def _ask(self, number: int, replayed: Mapping[str, Any] | None = None) -> dict[str, Any]:
        words = np.random.SeedSequence([self.seed, number]).generate_state(1)
        self.study.sampler = self._sampler(int(words[0]))
        if replayed is not None:
            self.study.enqueue_trial(dict(replayed))
        trial = self._trials[number] = self.study.ask()
        if replayed is not None:
            dict(trial.relative_params)  # sampled lazily; CMA-ES keeps its state with them
        params: dict[str, Any] = {}
        for dimension in self.dimensions:
            if dimension.applies(params):
                params[dimension.key] = _suggest(trial, dimension)
        return params

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        if self.settings.search == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if self.settings.search == "cmaes":
            return optuna.samplers.CmaEsSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # constant_liar
            return optuna.samplers.TPESampler(seed=seed, constant_liar=self.at_once > 1)

    def _tell(self, number: int, values: list[float] | None) -> None:
        state = optuna.trial.TrialState.PRUNED if values is None else optuna.trial.TrialState.COMPLETE
        self.study.tell(number, values, state=state)

    def _replay(self, event: dict[str, Any]) -> None:
        if "config" in event:
            self._ask(event["job"], event["params"])
        elif "done" in event:
            self._report(self._trials[event["job"]], event["done"], event["value"])
        elif event.get("state") == DONE:
            self._tell(event["job"], [event["values"][name] for name in self.settings.objectives])
        elif event.get("state") == PRUNED:
            self._tell(event["job"], None)


def check_search(settings: SweepConfig, dimensions: Sequence[Dimension]) -> None:
    """Raise a ``ConfigError`` for settings that Optuna would refuse or silently change."""
    if not dimensions:
        raise ConfigError(
            "sweep.space: a search needs something to vary; give keys with choices or intervals, as in "
            "'optimizer.lr=tag(log, interval(1e-4, 1e-1))'."
        )
    if settings.search == "cmaes" and (
        unsupported := [item.key for item in dimensions if item.choices or item.only_if is not None]
    ):
        raise ConfigError(
            "sweep.search: cmaes varies numbers alone and always all of them, and "
            f"{', '.join(unsupported)} has choices or a condition; fix it, or use hparams_search=tpe or "
            "random."
        )
    if settings.pruner == "none":
        return
    if len(settings.objectives) > 1:
        raise ConfigError(
            f"sweep.pruner: {settings.pruner} needs one objective, got {', '.join(settings.objectives)}; use "
            "sweep.pruner=none, or one of them."
        )
    if settings.objectives[0] == "seconds":
        raise ConfigError(
            f"sweep.pruner: {settings.pruner} needs metrics of each epoch, got the objective seconds; use "
            "sweep.objectives=[val/accuracy] or [val/loss], or sweep.pruner=none."
        )
    if settings.objectives[0] == "val/loss" and (
        recipe_keys := [item.key for item in dimensions if item.key.startswith("recipe")]
    ):
        raise ConfigError(
            f"sweep.pruner: {recipe_keys[0]} changes what the validation loss is, so that epochs of "
            "different trials cannot be compared; use sweep.objectives=[val/accuracy], or sweep.pruner=none."
        )


def _suggest(trial: optuna.Trial, dimension: Dimension) -> Any:
    if dimension.choices:
        return trial.suggest_categorical(dimension.key, dimension.choices)
    if dimension.whole:
        low, high = round(dimension.low), round(dimension.high)
        step = round(dimension.step or 1)
        return trial.suggest_int(dimension.key, low, high, step=step, log=dimension.log)
    return trial.suggest_float(
        dimension.key, dimension.low, dimension.high, step=dimension.step, log=dimension.log
    )


def _per_cent(share: float) -> int:
    """Return a pruner's step in per cent of the epochs, comparable across numbers of epochs."""
    return round(100 * share)


def _pruner(settings: SweepConfig) -> optuna.pruners.BasePruner:
    after, pruners = _per_cent(settings.prune_after), optuna.pruners
    build: dict[str, Callable[[], optuna.pruners.BasePruner]] = {
        "none": pruners.NopPruner,
        "median": partial(pruners.MedianPruner, n_startup_trials=5, n_warmup_steps=after - 1),
        "asha": partial(pruners.SuccessiveHalvingPruner, min_resource=after, reduction_factor=4),
        "hyperband": partial(pruners.HyperbandPruner, min_resource=after, reduction_factor=3),
    }
    return build[settings.pruner]()
