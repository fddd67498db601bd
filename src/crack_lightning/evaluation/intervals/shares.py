"""95 % intervals of the figures that calls alone decide: shares of tiles, and what is made of shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crack_lightning.evaluation.intervals.combined import mover_interval
from crack_lightning.evaluation.intervals.groups import Interval, proportion_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WILSON = "Wilson on the effective sample size (Korn and Graubard 1998)"
WILSON_F1 = "Wilson on the effective sample size, for the share F1 / (2 - F1) (Hand et al. 2021)"
MOVER = "from the intervals of shares (MOVER, Zou and Donner 2008)"


class Estimate(NamedTuple):
    """A figure, its interval, and how that was found."""

    value: float
    interval: Interval
    method: str = WILSON


def share_intervals(
    label: NDArray[np.int64],
    called: NDArray[np.int64],
    group: NDArray[np.int64],
    *,
    class_names: Sequence[str],
    positive: int | None,
) -> dict[str, dict[str, Any]]:
    """Return the intervals of the figures that calls decide; a figure without a value has none.

    Args:
        label: True classes, int64 ``(N,)``.
        called: The classes that tiles are called, int64 ``(N,)``.
        group: Group numbers from 0, int64 ``(N,)``.
        class_names: K names by class index.
        positive: Index of the positive class, if there is one.

    Returns:
        ``low``, ``high`` and ``method`` of ``accuracy``, ``accuracy_of_largest_class``,
        ``balanced_accuracy``, recall, precision and F1 of each class (``recall_<class>`` …) and averaged over
        classes (``recall_macro`` …), and, where one of two classes is positive, ``specificity`` and ``mcc``.
    """
    tested = [k for k in range(len(class_names)) if (label == k).any()]
    found = {"accuracy": _share(called == label, group)}
    found["accuracy_of_largest_class"] = _share(label == np.bincount(label).argmax(), group)
    for k in tested:
        found |= _of_class(label == k, called == k, group, class_names[k], alone=len(tested) == 1)
    found |= _averages(found, [class_names[k] for k in tested])
    if positive is not None and len(class_names) == 2 and 1 - positive in tested:
        found["specificity"] = found[f"recall_{class_names[1 - positive]}"]
    if "specificity" in found and len(tested) == 2 and positive is not None:
        shares = (
            found[f"recall_{class_names[positive]}"],
            found["specificity"],
            _share(label == positive, group),
        )
        found["mcc"] = _combined(_correlation, shares)
    return {
        name: estimate.interval._asdict() | {"method": estimate.method} for name, estimate in found.items()
    }


def _share(hit: NDArray[np.bool_], group: NDArray[np.int64]) -> Estimate:
    return Estimate(float(hit.mean()), proportion_interval(hit, group))


def _of_class(
    own: NDArray[np.bool_], called: NDArray[np.bool_], group: NDArray[np.int64], name: str, *, alone: bool
) -> dict[str, Estimate]:
    """Estimate recall, precision and F1 of a class; the last two need tiles of other classes as well."""
    found = {f"recall_{name}": _share(called[own], group[own])}
    if alone:
        return found
    if called.any():
        found[f"precision_{name}"] = _share(own[called], group[called])
    either = own | called
    both, interval, _ = _share((own & called)[either], group[either])
    limits = Interval(*(2 * limit / (1 + limit) for limit in interval))
    return found | {f"f1_{name}": Estimate(2 * both / (1 + both), limits, WILSON_F1)}


def _averages(found: dict[str, Estimate], tested: Sequence[str]) -> dict[str, Estimate]:
    """Average recall, precision and F1 over the tested classes that have them."""
    averages = {}
    for key in ("recall", "precision", "f1"):
        parts = [found[name] for name in (f"{key}_{of}" for of in tested) if name in found]
        if parts:
            averages[f"{key}_macro"] = _combined(np.mean, parts)
    if len(tested) > 1:
        averages["balanced_accuracy"] = averages["recall_macro"]
    return averages


def _combined(figure: Any, parts: Sequence[Estimate]) -> Estimate:
    values = [part.value for part in parts]
    interval = mover_interval(figure, values, [part.interval for part in parts])
    return Estimate(float(figure(values)), interval, MOVER)


def _correlation(shares: Sequence[float]) -> float:
    """Return the MCC of a recall, a specificity and a share of positive tiles."""
    recall, specificity, positive = shares
    called = positive * recall + (1 - positive) * (1 - specificity)
    spread = positive * (1 - positive) * called * (1 - called)
    gain = (recall + specificity - 1) * positive * (1 - positive)
    return float(gain / np.sqrt(spread)) if spread > 0 else 0.0
