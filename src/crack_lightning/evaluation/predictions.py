"""Predictions and labels of the same tiles in one object, so that their rows always match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predictions of a model, one row per tile.

    Attributes:
        index: The tile's row in its table, each at most once, int64 ``(N,)``.
        label: The true class, in ``[0, K)``, int64 ``(N,)``.
        probability: Class probabilities in ``[0, 1]``, float32 or float64 ``(N, K)``.
        ood_score: OOD score of each tile, above 1 for out-of-distribution, float32 ``(N,)``, or ``None``.
    """

    index: NDArray[np.int64]
    label: NDArray[np.int64]
    probability: NDArray[np.floating]
    ood_score: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        tiles, classes = self.probability.shape
        assert tiles > 0, "no predictions"
        assert self.index.shape == self.label.shape == (tiles,), (self.index.shape, self.label.shape, tiles)
        assert len(np.unique(self.index)) == tiles, "a tile was predicted twice"
        assert self.label.min() >= 0, self.label.min()
        assert self.label.max() < classes, (self.label.max(), classes)
        assert np.isfinite(self.probability).all(), "a probability is not finite"
        assert self.ood_score is None or self.ood_score.shape == (tiles,), "one OOD score a tile"

    def __len__(self) -> int:
        return len(self.index)

    def select(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Predictions:
        """Return some of the rows, or all in another order."""
        return Predictions(
            index=self.index[rows],
            label=self.label[rows],
            probability=self.probability[rows],
            ood_score=None if self.ood_score is None else self.ood_score[rows],
        )

    def in_table_order(self) -> Predictions:
        """Return the same rows by ascending ``index``."""
        return self.select(np.argsort(self.index))


def predicted_labels(
    probability: NDArray[np.floating], *, positive_index: int | None = None, threshold: float = 0.5
) -> NDArray[np.int64]:
    """Return the predicted class of each tile.

    Args:
        probability: Class probabilities, ``(N, K)``.
        positive_index: Index of the positive class; with ``None`` the most probable class is predicted.
        threshold: Lowest probability, in ``[0, 1]``, at which the positive class of two is predicted; not
            used with more classes.

    Returns:
        Class indices, int64 ``(N,)``.
    """
    if probability.shape[1] != 2 or positive_index is None:
        return np.asarray(probability.argmax(axis=1), dtype=np.int64)
    called = probability[:, positive_index] >= threshold
    return np.where(called, positive_index, 1 - positive_index).astype(np.int64)
