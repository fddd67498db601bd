"""Sections on metrics: headline cards, table with intervals, baselines, classes and sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.evaluation.metrics.registry import METRICS, call_metrics, keys_of
from crack_lightning.report.render.document import Links, Pictures, Section, Table
from crack_lightning.report.render.formatting import in_brackets, limits, number, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crack_lightning.evaluation.metrics.metric_types import Metric
    from crack_lightning.report.render.document import Block

_BASELINES = "For comparison, the metrics of predicting one class for every tile, without a model:"
_BY_SOURCE = ("accuracy", "balanced_accuracy", "recall", "auroc")


def metric_keys(contents: Mapping[str, Any]) -> dict[str, Metric]:
    """Return the keys of the metrics in a report, in the order of the registry.

    With a positive class of two they are the metrics of that class, otherwise averages over classes.
    """
    return keys_of(_positive_of_two(contents))


def cards(contents: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the headline metrics that are defined, each with its name, value and limits."""
    shown = metric_keys(contents).items()
    defined = {key: metric for key, metric in shown if contents["metrics"][key] is not None}
    rows = _metric_rows(contents, {key: metric for key, metric in defined.items() if metric.headline})
    return [{"name": name, "value": value, "limits": interval} for name, value, interval, _ in rows]


def _positive_of_two(contents: Mapping[str, Any]) -> str | None:
    return contents["positive_class"] if len(contents["class_names"]) == 2 else None


def _metric_rows(contents: Mapping[str, Any], shown: Mapping[str, Metric]) -> list[list[str]]:
    """Return name, value, limits and meaning of metrics."""
    metrics, intervals = contents["metrics"], contents["uncertainty"]["intervals"]
    positive = _positive_of_two(contents)
    return [_row(metric, metrics[key], intervals.get(key), positive) for key, metric in shown.items()]


def write_of(metric: Metric) -> Callable[[float | None], str]:
    """Return the function that formats values of a metric, in per cent or as numbers."""
    return percent if metric.percent else number


def _row(
    metric: Metric, value: float | None, interval: Mapping[str, Any] | None, positive: str | None
) -> list[str]:
    meaning, write = metric.meaning.format(name=positive or "class k"), write_of(metric)
    if metric.scope == "class" and positive is None:
        meaning = f"{meaning}, averaged over all classes k"
    of_class = f" of {positive}" if metric.scope == "class" and positive else ""
    return [f"{metric.label}{of_class}", write(value), limits(interval, write), meaning]


def metrics_section(contents: Mapping[str, Any]) -> Section:
    """Return the section with all metrics, their intervals, the baselines and the confusion matrix."""
    uncertainty = contents["uncertainty"]
    over = "groups" if uncertainty["groups_known"] else "tiles, as groups are unknown: it may be too narrow"
    blocks: list[Block] = [
        Table(
            ["metric", "value", "95 % CI", "meaning"], _metric_rows(contents, metric_keys(contents)), "lrrl"
        ),
        *uncertainty["notes"],
    ]
    if baselines := uncertainty["baselines"]:
        blocks += [_BASELINES, _baselines_table(baselines)]
    if _positive_of_two(contents) is None:
        blocks.append(_classes_table(contents["classes"], uncertainty["intervals"]))
    links = [(name, name) for name in ("classification_report.txt", "report.json")]
    blocks += [
        Links([*links, ("predictions.csv", "../predictions.csv")]),
        Pictures(["confusion_matrix.png", "roc_curve.png", "pr_curve.png"]),
    ]
    return Section(
        "Metrics",
        blocks,
        "The 95 % confidence interval (CI) is the range in which a metric probably lies on other tiles of "
        f"the same kind; it is computed over {over}.",
    )


def _baselines_table(baselines: Mapping[str, Mapping[str, float]]) -> Table:
    shown = [metric for metric in call_metrics() if metric.depends_on_model and metric.percent]
    cells = [
        [f"all {name}", *(percent(row[metric.name]) for metric in shown)] for name, row in baselines.items()
    ]
    return Table(["prediction", *(metric.label for metric in shown)], cells, "l" + "r" * len(shown))


def _classes_table(
    classes: Mapping[str, Mapping[str, Any]], intervals: Mapping[str, Mapping[str, Any]]
) -> Table:
    def cell(name: str, key: str) -> str:
        write = write_of(METRICS[key])
        return write(classes[name][key]) + in_brackets(intervals.get(f"{key}_{name}"), write)

    shown = [metric for metric in call_metrics() if metric.scope == "class"]
    cells = [
        [name, *(cell(name, metric.name) for metric in shown), number(row["support"])]
        for name, row in classes.items()
    ]
    head = ["class", *(metric.label for metric in shown), "tiles"]
    return Table(head, cells, "l" + "r" * (len(shown) + 1))


def source_section(contents: Mapping[str, Any]) -> Section:
    """Return the section on the metrics of each test source; empty for a single source."""
    positive = _positive_of_two(contents)
    shown = {name: METRICS[name] for name in _BY_SOURCE}

    def cell(source: str, metric: Metric) -> str:
        key = f"{metric.name}_{positive or 'macro'}" if metric.scope == "class" else metric.name
        value, write = contents["by_source"][source][key], write_of(metric)
        return write(value) + in_brackets(contents["intervals_by_source"][source].get(key), write)

    rows = [
        [name, number(row["tiles"]), *(cell(name, metric) for metric in shown.values())]
        for name, row in (contents["by_source"] or {}).items()
    ]
    of_class = {"class": f" of {positive}" if positive else ""}
    head = [f"{metric.label}{of_class.get(metric.scope, '')}" for metric in shown.values()]
    return Section(
        "Metrics by source",
        [Table(["source", "tiles", *head], rows, "lrrrrr")] if rows else [],
        "The same model, temperature and threshold on the test tiles of each source.",
    )
