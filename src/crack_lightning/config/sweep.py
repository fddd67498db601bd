"""What ``-m`` does with its jobs."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from crack_lightning.config.checks import require_choice, require_mapping, require_range, unread
from crack_lightning.errors import ConfigError

SEARCHES = ("grid", "random", "tpe", "cmaes")
PRUNERS = ("none", "median", "asha", "hyperband")
KEEPS = ("best", "all", "none")
OBJECTIVES = ("val/loss", "val/accuracy", "seconds")


@dataclass
class SweepConfig:
    """A sweep's own settings; a single run reads none of them.

    Attributes:
        resume: A sweep's folder, or ``latest``: run what is missing or unfinished there.
        jobs: How many jobs run at once: a number, or ``auto`` for one a GPU, else one a core.
        retries: How often a job that failed is started again, where it stopped.
        max_failures: Failed jobs with which no other is started; ``None`` starts all whatever fails.
        keep: Which jobs keep their weights: ``all``, ``none``, or ``best`` for the five best on validation
            (by the first objective of a search, else by accuracy); all keep report and predictions.
        search: ``grid`` for all combinations, or what proposes trials: ``random``, ``tpe`` or ``cmaes``.
        trials: How many, of a search.
        space: What is varied beside the command line's, by key, in Hydra's grammar.
        only_if: By key, the ``other=value`` with which alone it is varied.
        objectives: What a search is for: ``val/loss`` and ``val/accuracy`` of the best checkpoint's plain
            probabilities, ``seconds`` in all; several give the trials that no other beats in each.
        pruner: What ends poor trials early: ``none``, ``median``, ``asha`` or ``hyperband``.
        prune_after: Share of its epochs that every trial has; the default is well past the peak of
            one_cycle's rate, up to which epochs say little of how a trial ends.
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
        """Refuse what only a search or a pruner reads, where there is none.

        Raises:
            ConfigError: With every setting that was given.
        """
        keys = ("trials", "objectives", "pruner", "prune_after")
        if self.search == "grid" and (found := unread(self, "sweep", keys, by="a grid")):
            hint = "For a search add hparams_search=tpe, random or cmaes, or sweep.search=… and what to vary."
            raise ConfigError("\n".join([*found, hint]))
        if self.pruner == "none" and (
            found := unread(self, "sweep", ["prune_after"], by="sweep.pruner=none")
        ):
            raise ConfigError(found[0])

    def require_sweep(self, *, launcher: str) -> None:
        """Refuse what a single run, which has no ``-m``, would not read.

        Args:
            launcher: The option of ``hydra/launcher``.

        Raises:
            ConfigError: With every setting that was given.
        """
        keys = [item.name for item in fields(self)]
        by, mend = "a run without -m", "add -m, or leave it out"
        found = unread(self, "sweep", keys, by=by, mend=mend)
        if launcher != "basic":
            found.append(f"hydra/launcher: {by} does not read it, got {launcher}; {mend}.")
        if found:
            raise ConfigError("\n".join(found))
