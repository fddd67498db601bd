"""The metrics of a report as rows: name, value, limits and meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.evaluation.metrics import METRICS
from crack_lightning.report.sections.verdict import limits, number, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from crack_lightning.evaluation.metric_types import Metric


def metric_keys(contents: Mapping[str, Any]) -> dict[str, Metric]:
    """Return the keys of the metrics of a test that its report shows, in the order of the registry.

    With two classes and a positive one these are the metrics of that class, else averages over classes.
    """
    positive, suffix = positive_and_suffix(contents)
    return {
        f"{metric.name}_{suffix}" if metric.scope == "class" else metric.name: metric
        for metric in METRICS.values()
        if metric.scope != "positive" or positive
    }


def cards(contents: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the headline metrics, each with its name, value and limits."""
    rows = metric_rows(contents, [key for key, metric in metric_keys(contents).items() if metric.headline])
    return [{"name": name, "value": value, "limits": limits} for name, value, limits, _ in rows]


def positive_and_suffix(contents: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the positive class of two, if there is one, and what its figures' keys end with."""
    positive = contents["positive_class"] if len(contents["class_names"]) == 2 else None
    return positive, positive or "macro"


def metric_rows(contents: Mapping[str, Any], keys: Sequence[str] | None = None) -> list[list[str]]:
    """Return name, value, limits and meaning of metrics.

    Args:
        contents: The contents of a report.
        keys: Their keys; all that a report shows by default.
    """
    shown, intervals = metric_keys(contents), contents["uncertainty"]["intervals"]
    positive, _ = positive_and_suffix(contents)
    return [_row(shown[key], contents["metrics"][key], intervals.get(key), positive) for key in keys or shown]


def write_of(metric: Metric) -> Callable[[float | None], str]:
    """Return what writes a value of a metric: in per cent, or as a number."""
    return percent if metric.percent else number


def _row(
    metric: Metric, value: float | None, interval: Mapping[str, Any] | None, positive: str | None
) -> list[str]:
    meaning = metric.meaning.format(name=positive or "class's")
    of_class = ""
    if metric.scope == "class" and positive is None:
        meaning = f"{meaning}, averaged over classes"
    elif metric.scope == "class":
        of_class = f" of {positive}"
    write = write_of(metric)
    return [f"{metric.label}{of_class}", write(value), limits(interval, write), meaning]
