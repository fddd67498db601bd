"""Metrics of the training loop, all computed from one confusion matrix."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassConfusionMatrix

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def build_metrics(
    *, num_classes: int, class_names: list[str], positive_class: str | None, prefix: str
) -> MetricCollection:
    """Build the metrics of one stage, which share one confusion matrix.

    Args:
        num_classes: K, at least 2.
        class_names: K names by class index.
        positive_class: With two classes, the class of recall, precision and F1; with ``None``, and with more
            than two classes, these are macro averages.
        prefix: Prefix of the keys, for example ``val/``.

    Returns:
        A collection to update with ``(logits or probabilities (N, K), targets int64 (N,))``. Its keys are
        ``accuracy`` and ``recall_crack``, ``precision_crack``, ``f1_crack``, or ``recall_macro`` and so on; a
        figure that would divide by zero is 0.
    """
    assert num_classes == len(class_names) >= 2, (num_classes, class_names)
    if positive_class is not None and num_classes == 2:
        of, name = class_names.index(positive_class), positive_class
    else:
        of, name = None, "macro"
    name = name.replace(".", "_")  # torch refuses a module's name with a dot
    figures: dict[str, Callable[[Tensor], Tensor]] = {
        "accuracy": _accuracy,
        f"recall_{name}": partial(_recall, of=of),
        f"precision_{name}": partial(_precision, of=of),
        f"f1_{name}": partial(_f1, of=of),
    }
    metrics = {key: ConfusionMetric(num_classes=num_classes, figure=read) for key, read in figures.items()}
    return MetricCollection({**metrics}, prefix=prefix, compute_groups=[list(metrics)])


class ConfusionMetric(MulticlassConfusionMatrix):
    """A metric that is a function of the confusion matrix.

    Args:
        num_classes: K.
        figure: From counts by true (row) and predicted class, int64 ``(K, K)``, to a scalar ``()``.
    """

    def __init__(self, *, num_classes: int, figure: Callable[[Tensor], Tensor]) -> None:
        super().__init__(num_classes=num_classes, validate_args=False)
        self.figure = figure

    def compute(self) -> Tensor:
        """Return the figure of all batches so far, float ``()``."""
        return self.figure(self.confmat)


def _accuracy(confusion: Tensor) -> Tensor:
    return _ratio(confusion.diagonal().sum(), confusion.sum())


def _recall(confusion: Tensor, *, of: int | None) -> Tensor:
    return _select(_ratio(confusion.diagonal(), confusion.sum(dim=1)), of)


def _precision(confusion: Tensor, *, of: int | None) -> Tensor:
    return _select(_ratio(confusion.diagonal(), confusion.sum(dim=0)), of)


def _f1(confusion: Tensor, *, of: int | None) -> Tensor:
    whole = confusion.sum(dim=0) + confusion.sum(dim=1)
    return _select(_ratio(2 * confusion.diagonal(), whole), of)


def _select(by_class: Tensor, of: int | None) -> Tensor:
    return by_class.mean() if of is None else by_class[of]


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / whole.clamp(min=1), 0.0)
