"""Closed-form 95 % intervals of proportions of tiles, and of metrics computed from proportions.

Each function takes true and predicted classes and groups, int64 ``(N,)``, and the index of a class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crack_lightning.evaluation.intervals.combined import mover_interval
from crack_lightning.evaluation.intervals.groups import Interval, proportion_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Labels = NDArray[np.int64]

WILSON = "Wilson on the effective sample size (Korn and Graubard 1998)"
WILSON_F1 = "Wilson on the effective sample size, for the share F1 / (2 - F1) (Hand et al. 2021)"
MOVER = "from the intervals of shares (MOVER, Zou and Donner 2008)"


class Estimate(NamedTuple):
    """The value of a metric, its interval, and the method of the interval."""

    value: float
    interval: Interval
    method: str = WILSON

    def limits(self) -> dict[str, Any]:
        """Return ``low``, ``high`` and ``method``."""
        return self.interval._asdict() | {"method": self.method}


def accuracy(label: Labels, called: Labels, group: Labels, _: int) -> Estimate:
    """Estimate the share of tiles that are predicted correctly."""
    return _share(called == label, group)


def majority_class_accuracy(label: Labels, _called: Labels, group: Labels, _: int) -> Estimate:
    """Estimate the share of the most frequent class."""
    return _share(label == np.bincount(label).argmax(), group)


def recall(label: Labels, called: Labels, group: Labels, k: int) -> Estimate:
    """Estimate the share of the tiles of class ``k`` that are predicted as class ``k``."""
    own = label == k
    return _share(called[own] == k, group[own])


def precision(label: Labels, called: Labels, group: Labels, k: int) -> Estimate:
    """Estimate the share of the tiles predicted as class ``k`` that are of class ``k``."""
    return _share(label[called == k] == k, group[called == k])


def f1(label: Labels, called: Labels, group: Labels, k: int) -> Estimate:
    """Estimate F1 from the share of true positives among tiles that are of class ``k`` or predicted as it."""
    own, predicted = label == k, called == k
    either = own | predicted
    both, interval, _ = _share((own & predicted)[either], group[either])
    return Estimate(2 * both / (1 + both), Interval(*(2 * end / (1 + end) for end in interval)), WILSON_F1)


def specificity(label: Labels, called: Labels, group: Labels, k: int) -> Estimate:
    """Estimate the share of the tiles of other classes that are not predicted as class ``k``."""
    other = label != k
    return _share(called[other] != k, group[other])


def balanced_accuracy(label: Labels, called: Labels, group: Labels, _: int) -> Estimate:
    """Estimate the mean recall of the classes that have tiles."""
    return combined(np.mean, [recall(label, called, group, k) for k in np.unique(label)])


def mcc(label: Labels, called: Labels, group: Labels, k: int) -> Estimate:
    """Estimate Matthews' correlation from recall, specificity and the share of class ``k``."""
    parts = [recall(label, called, group, k), specificity(label, called, group, k), _share(label == k, group)]
    return combined(_correlation, parts)


def combined(figure: Callable[[Sequence[float]], Any], parts: Sequence[Estimate]) -> Estimate:
    """Estimate a function of independent values from their intervals."""
    values = [part.value for part in parts]
    interval = mover_interval(figure, values, [part.interval for part in parts])
    return Estimate(float(figure(values)), interval, MOVER)


def _share(hit: NDArray[np.bool_], group: Labels) -> Estimate:
    return Estimate(float(hit.mean()), proportion_interval(hit, group))


def _correlation(shares: Sequence[float]) -> float:
    """Return the MCC of a recall, a specificity and a share of positive tiles."""
    recall, specificity, positive = shares
    called = positive * recall + (1 - positive) * (1 - specificity)
    spread = positive * (1 - positive) * called * (1 - called)
    gain = (recall + specificity - 1) * positive * (1 - positive)
    return float(gain / np.sqrt(spread)) if spread > 0 else 0.0
