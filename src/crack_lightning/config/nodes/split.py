"""The node ``data.split``: train, validation and test."""

from __future__ import annotations

from dataclasses import dataclass, fields

from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.settings import check_settings, require_range, seed_setting, setting, unused_keys


@dataclass
class SplitConfig:
    """How tiles are split into train, val and test."""

    strategy: str = setting(
        "grouped",
        "`grouped` keeps tiles of one photo in one split; `random` splits tile by tile, as much of the "
        "literature does.",
        choices=("grouped", "random"),
    )
    seed: int = seed_setting("Seed of the split.")
    fractions: list[float] = setting(
        [0.70, 0.15, 0.15],
        "Fractions of train, val and test.",
        values="three numbers above 0 that sum to 1",
    )
    tolerance: float = setting(
        0.02,
        "Largest deviation of a class's fraction in a split from the requested one, beside one tile; beyond "
        "it the run ends with the fractions that are possible.",
        low=0.0,
        high=1.0,
    )
    folds: int | None = setting(
        None, "Number of folds of a cross-validation; `null` for a single split.", low=2, high=100
    )
    fold: int = setting(
        0,
        "The fold that is the test split; train and val share the others by `data.split.fractions`.",
        low=0,
    )
    recover_photos: bool = setting(
        True,
        "Recover the tiles of one photo by matching edges and the order of file names, where the source does "
        "not name the photos; of at most 100,000 tiles.",
    )
    file: str | None = setting(None, "A `splits.csv` of an earlier run to use instead.", text="path")

    def __post_init__(self) -> None:
        shares = list(self.fractions)
        if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise ConfigError(
                "data.split.fractions: expected three shares above 0 that sum to 1 (train, val, test), "
                f"got {shares}."
            )
        check_settings(self, "data.split")
        if self.folds is not None:
            require_range("data.split.fold", self.fold, low=0, high=self.folds - 1)

    def problems(self) -> list[str]:
        """List settings that other settings disable."""
        problems = []
        if self.folds is None and self.fold:
            problems.append("data.split.fold: not read without data.split.folds; set data.split.folds=5.")
        if self.file is not None:
            others = [
                item.name for item in fields(self) if item.name not in ("file", "fold", "recover_photos")
            ]
            problems += unused_keys(self, "data.split", others, by="a run that follows data.split.file")
        return problems
