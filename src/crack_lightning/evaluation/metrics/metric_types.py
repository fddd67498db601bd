"""What an entry of the registry of metrics says: its function, interval, range, direction and wording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from crack_lightning.evaluation.intervals.shares import Estimate
    from crack_lightning.evaluation.intervals.weighted_metrics import RankedWeights

    Floats = NDArray[np.float64]
    Labels = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Common properties of all kinds of metrics.

    Attributes:
        name: Its key in ``report.json``; with scope ``class`` followed by ``_<class>`` or ``_macro``.
        label: Its name in a report.
        meaning: A clause that says how to read it; ``{name}`` stands for a class.
        scope: ``all`` for one value a test, ``class`` for one value a class and their average, ``positive``
            for one value of the positive class of two.
        low: The least possible value.
        high: The greatest.
        higher_is_better: The direction.
        percent: Whether reports show it in per cent.
        headline: Whether it stands on top of a report and in the table of a comparison.
        hub_name: Its name in the metadata of the Hugging Face Hub, if it has one.
    """

    name: str
    label: str
    meaning: str
    scope: Literal["all", "class", "positive"]
    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool = True
    percent: bool = False
    headline: bool = False
    hub_name: str | None = None

    def keys(self, class_names: Sequence[str], positive: int | None) -> dict[str, int]:
        """Return the keys of its values, each with the index of the class that the value is of.

        With scope ``all`` the index means nothing.
        """
        if self.scope == "class":
            return {f"{self.name}_{name}": k for k, name in enumerate(class_names)}
        if self.scope == "positive":
            return {self.name: positive} if positive is not None and len(class_names) == 2 else {}
        return {self.name: 0}


@dataclass(frozen=True, kw_only=True)
class CallMetric(Metric):
    """A metric of predicted classes.

    Attributes:
        function: From confusion matrices (rows: truth), float ``(R, K, K)``, and a class to values ``(R,)``,
            NaN where undefined: its own weighted form, as a resample's confusion matrix is one of counts.
        interval: From true classes, predicted classes and groups, int64 ``(N,)``, and a class to the value
            and its interval; without one, groups are resampled.
        needs_both_sides: Whether it is undefined where no tile, or every tile, is of the class.
        in_training: Whether training logs it too.
        of_model: Whether it depends on the model at all.
    """

    function: Callable[[Floats, int], Floats]
    interval: Callable[[Labels, Labels, Labels, int], Estimate] | None = None
    needs_both_sides: bool = False
    in_training: bool = False
    of_model: bool = True

    def values(self, confusion: Floats, k: int) -> Floats:
        """Return the metric of class ``k`` in each of R tests, ``(R,)``; NaN where undefined."""
        values = self.function(confusion, k)
        if not self.needs_both_sides:
            return values
        support = confusion.sum(axis=2)
        both = (support[:, k] > 0) & (support[:, k] < support.sum(axis=1))
        return np.where(both, values, np.nan)


@dataclass(frozen=True, kw_only=True)
class RankingMetric(Metric):
    """A metric of the order in which scores rank one class against the others.

    Attributes:
        function: From scores and the truth, each ``(N,)``, both sides present, to the value.
        weighted: The same for R sets of weights at once, ``(R,)``.
        of_ties: The value where all scores are equal, if that is known whatever the tiles are.
    """

    function: Callable[[NDArray[np.floating], NDArray[np.bool_]], float | None]
    weighted: Callable[[RankedWeights], Floats]
    of_ties: float | None = None


@dataclass(frozen=True, kw_only=True)
class ProbabilityMetric(Metric):
    """The mean over tiles of a loss of their probabilities; weighted, the weighted mean.

    Attributes:
        losses: From true classes ``(N,)`` and probabilities ``(N, K)`` to the loss of each tile, ``(N,)``.
        sure_error: The loss of a tile that is predicted wrongly with 99 %, or the greatest: intervals allow
            for one, whether or not one was seen.
    """

    losses: Callable[[Labels, NDArray[np.floating]], Floats]
    sure_error: float
