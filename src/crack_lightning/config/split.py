"""Who trains, who chooses, who tests."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from crack_lightning.config.checks import require_choice, require_range, require_seed, unread
from crack_lightning.errors import ConfigError


@dataclass
class SplitConfig:
    """Who is in which split.

    Attributes:
        strategy: ``grouped`` keeps tiles of one photo on one side; ``random`` splits tile by tile, as much
            of the literature does.
        seed: Decides who is where.
        fractions: Shares of train, val and test; they sum to 1.
        tolerance: How far the share of a class in a split may be from what was asked, beside one tile, before
            the run ends with what can be reached.
        folds: Cross-validation: cut the tiles into so many parts, and test on one of them.
        fold: Which part is the test split, from 0; train and val share the others as ``fractions`` says.
        recover_photos: Where the source does not know which tiles were cut from one photo, find out by
            edges that fit and by file names in order.
        file: A ``splits.csv`` of an earlier run to follow instead.
    """

    strategy: str = "grouped"
    seed: int = 0
    fractions: list[float] = field(default_factory=lambda: [0.70, 0.15, 0.15])
    tolerance: float = 0.02
    folds: int | None = None
    fold: int = 0
    recover_photos: bool = True
    file: str | None = None

    def __post_init__(self) -> None:
        shares = list(self.fractions)
        if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise ConfigError(
                "data.split.fractions: expected three shares above 0 that sum to 1 (train, val, test), "
                f"got {shares}."
            )
        require_seed("data.split.seed", self.seed)
        require_choice("data.split.strategy", self.strategy, ("grouped", "random"))
        require_range("data.split.tolerance", self.tolerance, low=0.0, high=1.0)
        if self.folds is not None:
            require_range("data.split.folds", self.folds, low=2, high=100)
        last = None if self.folds is None else self.folds - 1
        require_range("data.split.fold", self.fold, low=0, high=last)

    def problems(self) -> list[str]:
        """List settings that are not read beside others."""
        found = []
        if self.folds is None and self.fold:
            found.append("data.split.fold: not read without data.split.folds; set data.split.folds=5.")
        if self.file is not None:
            others = [
                item.name for item in fields(self) if item.name not in ("file", "fold", "recover_photos")
            ]
            found += unread(self, "data.split", others, by="a run that follows data.split.file")
        return found
