"""The node ``data.split``: train, validation and test."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from crack_lightning.config.validators import require_choice, require_range, require_seed, unused_keys
from crack_lightning.runtime.errors import ConfigError


@dataclass
class SplitConfig:
    """How tiles are split.

    Attributes:
        strategy: ``grouped`` keeps tiles of one photo in one split; ``random`` splits tile by tile, as much
            of the literature does.
        seed: Seed of the split.
        fractions: Fractions of train, val and test; they sum to 1.
        tolerance: Largest deviation of a class's fraction in a split from the requested one, beside one tile;
            beyond it the run ends with the fractions that are possible.
        folds: Number of folds of a cross-validation; ``None`` for a single split.
        fold: The fold that is the test split, from 0; train and val share the others by ``fractions``.
        recover_photos: Recover the tiles of one photo by matching edges and the order of file names, where
            the source does not name the photos.
        file: A ``splits.csv`` of an earlier run to use instead.
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
        """List settings that other settings disable."""
        found = []
        if self.folds is None and self.fold:
            found.append("data.split.fold: not read without data.split.folds; set data.split.folds=5.")
        if self.file is not None:
            others = [
                item.name for item in fields(self) if item.name not in ("file", "fold", "recover_photos")
            ]
            found += unused_keys(self, "data.split", others, by="a run that follows data.split.file")
        return found
