"""The running loss and metrics of training, validation and testing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn
from torchmetrics import MeanMetric, Metric

from crack_lightning.evaluation.metrics.metric_collection import build_metrics

if TYPE_CHECKING:
    from torch import Tensor


_GPU_BATCHES = 32
"""Batches on a GPU whose metrics are updated together: each update synchronises with the device."""


class SplitMetrics(nn.Module):
    """The mean loss and the metrics of one stage, over all processes.

    It adds nothing to a ``state_dict``; :meth:`counts` is the state from which an interrupted epoch resumes.

    Args:
        stage: ``train``, ``val`` or ``test``, the prefix of the names.
        class_names: Names by class index, K of them.
        positive_class: The class that means "crack", or ``None``.
    """

    def __init__(self, stage: str, *, class_names: list[str], positive_class: str | None) -> None:
        super().__init__()
        self.stage = stage
        self._pending: list[tuple[Tensor, Tensor, Tensor]] = []
        self.mean_loss = MeanMetric()
        self.metrics = build_metrics(
            num_classes=len(class_names),
            class_names=class_names,
            positive_class=positive_class,
            prefix=f"{stage}/",
        )

    def update(self, logits: Tensor, targets: Tensor, *, loss: Tensor) -> None:
        """Add a batch: logits float32 ``(N, K)``, targets int64 ``(N,)``, their mean loss ``()``."""
        self._pending.append((logits, targets, loss))
        if len(self._pending) >= _batches_per_update(logits):
            self._update_pending()

    def _update_pending(self) -> None:
        pending, self._pending = self._pending, []
        for logits, targets, loss in pending:
            self.metrics.update(logits, targets)
            self.mean_loss.update(loss.float(), len(logits))

    def compute(self) -> dict[str, Tensor]:
        """Return loss and metrics of all batches so far by name, float ``()`` each."""
        self._update_pending()
        return {f"{self.stage}/loss": self.mean_loss.compute(), **self.metrics.compute()}

    def reset(self) -> None:
        """Reset loss and metrics."""
        self._pending = []
        self.mean_loss.reset()
        self.metrics.reset()

    def counts(self) -> dict[str, dict[str, Any]]:
        """Return the states of all metrics, reduced over all processes, by metric and state."""
        self._update_pending()
        return {name: _over_all_processes(metric) for name, metric in self._counters().items()}

    def load_counts(self, counts: dict[str, dict[str, Any]]) -> None:
        """Load the result of :meth:`counts`; a missing metric is unchanged."""
        for name, metric in self._counters().items():
            for key, value in counts.get(name, {}).items():
                setattr(metric, key, value)

    def _counters(self) -> dict[str, Metric]:
        return {"loss": self.mean_loss, **dict(self.metrics.items(keep_base=True, copy_state=False))}


def _over_all_processes(metric: Metric) -> dict[str, Any]:
    with metric.sync_context():
        return dict(metric.metric_state)


def _batches_per_update(logits: Tensor) -> int:
    return 1 if logits.device.type == "cpu" else _GPU_BATCHES
