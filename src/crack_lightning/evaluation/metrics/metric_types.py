"""Types of the entries in the registry of metrics: function, interval, range, direction and wording."""

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
    """Properties that all metrics share.

    Attributes:
        name: Its key in ``report.json``; with scope ``class`` the key is ``<name>_<class>`` or
            ``<name>_macro``.
        label: Its name in a report.
        meaning: How to read it, as a clause; ``{name}`` is replaced by a class name.
        scope: ``all``: one value per test; ``class``: one value per class, and their average; ``positive``:
            one value, that of the positive class, in tests of two classes.
        low: Lowest possible value.
        high: Highest possible value.
        higher_is_better: Whether a higher value is better.
        percent: Whether reports show it in per cent.
        headline: Whether it is among the main metrics: at the top of a report and in a comparison.
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
        """Return the keys of its values, each with the index of its class.

        With scope ``all`` the index is 0 and is not used.
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
        function: Computes R values ``(R,)``, NaN where undefined, from R confusion matrices of tests or
            bootstrap resamples, float ``(R, K, K)`` (rows: truth), and the index of a class.
        interval: Computes the value and its interval from true classes, predicted classes and groups, int64
            ``(N,)`` each, and the index of a class; with ``None`` the interval is a bootstrap over groups.
        needs_both_classes: Whether it is undefined where no tile, or every tile, is of the class.
        in_training: Whether it is logged during training.
        depends_on_model: Whether it depends on the predictions, and not on the labels alone.
    """

    function: Callable[[Floats, int], Floats]
    interval: Callable[[Labels, Labels, Labels, int], Estimate] | None = None
    needs_both_classes: bool = False
    in_training: bool = False
    depends_on_model: bool = True

    def values(self, confusion: Floats, k: int) -> Floats:
        """Return the metric of class ``k`` in each of R tests, float ``(R,)``; NaN where undefined."""
        values = self.function(confusion, k)
        if not self.needs_both_classes:
            return values
        support = confusion.sum(axis=2)
        both = (support[:, k] > 0) & (support[:, k] < support.sum(axis=1))
        return np.where(both, values, np.nan)


@dataclass(frozen=True, kw_only=True)
class RankingMetric(Metric):
    """A metric of how well scores rank the tiles of one class above the others.

    Attributes:
        function: Computes the value from scores and the truth, ``(N,)`` each; both outcomes must occur.
        weighted: Computes the same for R sets of tile weights at once, ``(R,)``.
        value_of_ties: The value where all scores are equal, if it does not depend on the tiles.
    """

    function: Callable[[NDArray[np.floating], NDArray[np.bool_]], float | None]
    weighted: Callable[[RankedWeights], Floats]
    value_of_ties: float | None = None


@dataclass(frozen=True, kw_only=True)
class ProbabilityMetric(Metric):
    """The mean, or weighted mean, of a loss over the tiles.

    Attributes:
        losses: Computes the loss of each tile, ``(N,)``, from true classes, ``(N,)``, and probabilities,
            ``(N, K)``.
        confident_error: The loss of a wrong prediction with a probability of 99 %, or the highest possible
            loss; intervals allow for such a loss even if none was observed.
    """

    losses: Callable[[Labels, NDArray[np.floating]], Floats]
    confident_error: float
