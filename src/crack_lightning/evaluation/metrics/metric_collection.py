"""The metrics that training logs, all computed from one confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassConfusionMatrix

from crack_lightning.evaluation.metrics.registry import call_metrics

if TYPE_CHECKING:
    from torch import Tensor

    from crack_lightning.evaluation.metrics.metric_types import CallMetric


def build_metrics(
    *, num_classes: int, class_names: list[str], positive_class: str | None, prefix: str
) -> MetricCollection:
    """Build the metrics of one stage from the registry, which share one confusion matrix.

    Args:
        num_classes: K, at least 2.
        class_names: K names by class index.
        positive_class: Positive class of two. With ``None`` or more classes recall, precision and F1 are
            macro averages, and metrics of the positive class are left out.
        prefix: Prefix of the keys, for example ``val/``.

    Returns:
        A collection to update with ``(logits or probabilities (N, K), targets int64 (N,))``. Its keys are
        ``accuracy`` and ``recall_crack``, ``precision_crack``, ``f1_crack``, or ``recall_macro`` and so on; a
        metric with a denominator of zero is 0.
    """
    assert num_classes == len(class_names) >= 2, (num_classes, class_names)
    if positive_class is not None and num_classes == 2:
        class_index, name = class_names.index(positive_class), positive_class
    else:
        class_index, name = None, "macro"
    name = name.replace(".", "_")  # torch does not allow dots in the name of a module
    metrics: dict[str, Metric] = {
        f"{metric.name}_{name}" if metric.scope == "class" else metric.name: ConfusionMetric(
            num_classes=num_classes, metric=metric, class_index=class_index
        )
        for metric in call_metrics()
        if metric.in_training and (metric.scope != "positive" or class_index is not None)
    }
    return MetricCollection({**metrics}, prefix=prefix, compute_groups=[list(metrics)])


class ConfusionMetric(MulticlassConfusionMatrix):
    """A metric of the registry, computed from the confusion matrix of all batches.

    Args:
        num_classes: K.
        metric: The entry of the registry.
        class_index: Index of the class; ``None`` for the mean over classes.
    """

    def __init__(self, *, num_classes: int, metric: CallMetric, class_index: int | None) -> None:
        super().__init__(num_classes=num_classes, validate_args=False)
        self.metric = metric
        self.classes = (
            range(num_classes) if class_index is None and metric.scope == "class" else [class_index or 0]
        )

    def compute(self) -> Tensor:
        """Return the metric of all batches so far, float32 ``()``; 0 with a denominator of zero."""
        confusion = self.confmat.cpu().numpy().astype(np.float64)[None]
        values = [np.nan_to_num(self.metric.function(confusion, k)[0]) for k in self.classes]
        return torch.tensor(values, dtype=torch.float32, device=self.confmat.device).mean()
