"""The node ``sweep``: scheduling, retention and search of ``-m``."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from crack_lightning.config.validators import require_choice, require_mapping, require_range, unused_keys
from crack_lightning.runtime.errors import ConfigError

SEARCHES = ("grid", "random", "tpe", "cmaes")
PRUNERS = ("none", "median", "asha", "hyperband")
KEEPS = ("best", "all", "none")
OBJECTIVES = ("val/loss", "val/accuracy", "seconds")


@dataclass
class SweepConfig:
    """A sweep's own settings; a single run reads none of them.

    Attributes:
        resume: A sweep's folder, or ``latest``: run its missing, failed and unfinished jobs.
        jobs: Number of jobs at once, or ``auto`` for one per GPU, else one per core.
        retries: Number of retries of a failed job, from its last checkpoint.
        max_failures: Number of failed jobs after which no other is started; ``None`` for no limit.
        keep: Jobs that keep their weights: ``all``, ``none``, or ``best`` for the five best on validation (by
            the first objective of a search, else by accuracy); all keep report and predictions.
        search: ``grid`` for all combinations, or a sampler: ``random``, ``tpe`` or ``cmaes``.
        trials: Number of trials of a search.
        space: Search space beside the command line's, by key, in Hydra's grammar.
        only_if: Condition ``other=value`` by key, without which the key is not varied.
        objectives: Objectives of a search: ``val/loss`` and ``val/accuracy`` of the best checkpoint's
            uncalibrated probabilities, total ``seconds``; several give a Pareto front.
        pruner: Pruner of poor trials: ``none``, ``median``, ``asha`` or ``hyperband``.
        prune_after: Share of its epochs before which no trial is pruned; the default is well past the peak of
            one_cycle's rate, before which epochs predict little.
    """

    resume: str | None = None
    jobs: str = "1"
    retries: int = 0
    max_failures: int | None = None
    keep: str = "all"
    search: str = "grid"
    trials: int = 40
    space: Any = None  # dict[str, str], as require_mapping says
    only_if: Any = None  # likewise
    objectives: list[str] = field(default_factory=lambda: ["val/loss"])
    pruner: str = "none"
    prune_after: float = 0.4

    def __post_init__(self) -> None:
        if self.jobs != "auto" and not (self.jobs.isdecimal() and int(self.jobs) > 0):
            raise ConfigError(f"sweep.jobs: expected auto or a number at least 1, got '{self.jobs}'.")
        require_range("sweep.retries", self.retries, low=0)
        if self.max_failures is not None:
            require_range("sweep.max_failures", self.max_failures, low=1)
        require_choice("sweep.keep", self.keep, KEEPS)
        require_choice("sweep.search", self.search, SEARCHES)
        require_choice("sweep.pruner", self.pruner, PRUNERS)
        require_range("sweep.trials", self.trials, low=1)
        require_range("sweep.prune_after", self.prune_after, low=0.01, high=1)
        require_mapping("sweep.space", self.space, of=str, wanted="{key: values in Hydra's grammar, …}")
        require_mapping("sweep.only_if", self.only_if, of=str, wanted="{key: other=value, …}")
        for name in self.objectives or [""]:
            require_choice("sweep.objectives", name, OBJECTIVES)

    def require_read(self) -> None:
        """Refuse settings of a search or a pruner where there is none.

        Raises:
            ConfigError: With every setting that was given.
        """
        keys = ("trials", "objectives", "pruner", "prune_after")
        if self.search == "grid" and (found := unused_keys(self, "sweep", keys, by="a grid")):
            hint = "For a search add hparams_search=tpe, random or cmaes, or sweep.search=… and what to vary."
            raise ConfigError("\n".join([*found, hint]))
        if self.pruner == "none" and (
            found := unused_keys(self, "sweep", ["prune_after"], by="sweep.pruner=none")
        ):
            raise ConfigError(found[0])

    def require_sweep(self, *, launcher: str) -> None:
        """Refuse settings that a single run, without ``-m``, does not read.

        Args:
            launcher: The option of ``hydra/launcher``.

        Raises:
            ConfigError: With every setting that was given.
        """
        keys = [item.name for item in fields(self)]
        by, mend = "a run without -m", "add -m, or leave it out"
        found = unused_keys(self, "sweep", keys, by=by, mend=mend)
        if launcher != "basic":
            found.append(f"hydra/launcher: {by} does not read it, got {launcher}; {mend}.")
        if found:
            raise ConfigError("\n".join(found))
