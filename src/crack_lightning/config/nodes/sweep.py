"""The node ``sweep``: scheduling, retention and search of ``-m``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from crack_lightning.config.validators import require_mapping
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.settings import check_settings, setting, settings_of, unused_keys

SEARCHES = ("grid", "random", "tpe", "cmaes")
PRUNERS = ("none", "median", "asha", "hyperband")
KEEPS = ("best", "all", "none")
OBJECTIVES = ("val/loss", "val/accuracy", "seconds")


@dataclass
class SweepConfig:
    """Settings of a sweep (`-m`): scheduling, retention and search; a single run reads none of them."""

    resume: str | None = setting(
        None,
        "Run the missing, failed and unfinished jobs of a sweep.",
        values="a sweep's folder, or `latest`",
        text="path",
    )
    jobs: str = setting(
        "1",
        "Number of jobs at once; `auto` for one per GPU, else one per core.",
        values="`auto` or a number at least 1",
    )
    retries: int = setting(0, "Number of retries of a failed job, from its last checkpoint.", low=0)
    max_failures: int | None = setting(
        None, "Number of failed jobs after which no other is started; `null` for no limit.", low=1
    )
    keep: str = setting(
        "all",
        "Jobs that keep their weights; `best` is the five best on validation (by the first objective of a "
        "search, else by accuracy). All keep report and predictions.",
        choices=KEEPS,
    )
    search: str = setting("grid", "`grid` for all combinations, or a sampler.", choices=SEARCHES)
    trials: int = setting(40, "Number of trials of a search.", low=1)
    space: Any = setting(  # dict[str, str], as require_mapping says
        None,
        "Search space beside the command line's, by key, in Hydra's grammar.",
        values="{key: values in Hydra's grammar, …}",
    )
    only_if: Any = setting(  # likewise
        None, "Condition by key; the key is varied only in jobs that meet it.", values="{key: other=value, …}"
    )
    objectives: list[str] = setting(
        ["val/loss"],
        "Objectives of a search: loss and accuracy are of the best checkpoint's uncalibrated probabilities, "
        "`seconds` is the total time; several give a Pareto front.",
        choices=OBJECTIVES,
    )
    pruner: str = setting("none", "Pruner of poor trials.", choices=PRUNERS)
    prune_after: float = setting(
        0.4,
        "Share of its epochs before which no trial is pruned; the default is well past the peak of "
        "one_cycle's rate, before which epochs predict little.",
        low=0.01,
        high=1,
    )

    def __post_init__(self) -> None:
        if self.jobs != "auto" and not (self.jobs.isdecimal() and int(self.jobs) > 0):
            raise ConfigError(f"sweep.jobs: expected auto or a number at least 1, got '{self.jobs}'.")
        check_settings(self, "sweep")
        for key in ("space", "only_if"):
            wanted = settings_of(SweepConfig)[key].values
            require_mapping(f"sweep.{key}", getattr(self, key), of=str, wanted=wanted)

    def require_read(self) -> None:
        """Refuse settings of a search or a pruner where there is none.

        Raises:
            ConfigError: With every setting that was given.
        """
        keys = ("trials", "objectives", "pruner", "prune_after")
        if self.search == "grid" and (problems := unused_keys(self, "sweep", keys, by="a grid")):
            hint = "For a search add hparams_search=tpe, random or cmaes, or sweep.search=… and what to vary."
            raise ConfigError("\n".join([*problems, hint]))
        if self.pruner == "none" and (
            problems := unused_keys(self, "sweep", ["prune_after"], by="sweep.pruner=none")
        ):
            raise ConfigError(problems[0])

    def require_sweep(self, *, launcher: str) -> None:
        """Refuse settings that a single run, without ``-m``, does not read.

        Args:
            launcher: The option of ``hydra/launcher``.

        Raises:
            ConfigError: With every setting that was given.
        """
        keys = [item.name for item in fields(self)]
        by, hint = "a run without -m", "add -m, or leave it out"
        problems = unused_keys(self, "sweep", keys, by=by, hint=hint)
        if launcher != "basic":
            problems.append(f"hydra/launcher: {by} does not read it, got {launcher}; {hint}.")
        if problems:
            raise ConfigError("\n".join(problems))
