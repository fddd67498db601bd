"""Tables of a comparison of many runs as data, which the page's script filters, sorts and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.comparison.by_source import SOURCE_METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from crack_lightning.evaluation.metrics.metric_types import Metric

_MAX_SETTINGS = 12
_DIGITS = 6


def page_tables(contents: Mapping[str, Any], metrics: Mapping[str, Metric]) -> dict[str, dict[str, Any]]:
    """Return the tables of a comparison's page, by the key of their rows in ``contents``.

    Args:
        contents: From :func:`crack_lightning.comparison.comparison.compare_runs`.
        metrics: The metrics to show, by key.

    Returns:
        For each ``columns`` (``key``, ``label`` and ``kind``: ``text``, ``number`` or ``percent``) and
        ``rows`` with one cell per column: a value, or a list of value, lower and upper limit.
    """
    settings = contents["differing"][:_MAX_SETTINGS]
    return {
        "runs": _runs(contents["runs"], settings, metrics),
        "pooled": _runs(contents["pooled"], settings, metrics),
        "transfer": _by_source(contents["transfer"]),
        "repeated": _repeated(contents["repeated"]),
        "without": {
            "columns": [_column("job or folder"), _column("settings"), _column("state")],
            "rows": [[row["run"], " ".join(row["overrides"]), row["status"]] for row in contents["without"]],
        },
    }


def _column(key: str, label: str = "", kind: str = "text") -> dict[str, str]:
    return {"key": key, "label": label or key, "kind": kind}


def _metric_column(key: str, metric: Metric, prefix: str = "") -> dict[str, str]:
    lower = "" if metric.higher_is_better else " (lower is better)"
    return _column(key, f"{prefix}{metric.label}{lower}", "percent" if metric.percent else "number")


def _runs(
    rows: Iterable[Mapping[str, Any]], settings: Sequence[str], metrics: Mapping[str, Metric]
) -> dict[str, Any]:
    columns = [
        _column("run"),
        *(_column(key) for key in settings),
        _column("validation", "validation accuracy", "percent"),
        *(_metric_column(key, metric) for key, metric in metrics.items()),
        *(_column(key, kind="number") for key in ("errors", "seconds", "parameters")),
        _column("tiles_per_second", "tiles/s", "number"),
    ]
    cells = [
        [
            row["run"],
            *(_setting(row["settings"][key]) for key in settings),
            row["validation"].get("val/accuracy"),
            *(_estimate(row["metrics"].get(key), row["intervals"].get(key)) for key in metrics),
            row["metrics"]["errors"],
            row["seconds"],
            row["parameters"],
            row["tiles_per_second"],
        ]
        for row in rows
    ]
    return {"columns": columns, "rows": _rounded(cells)}


def _by_source(transfer: Mapping[str, Any]) -> dict[str, Any]:
    settings = transfer["varied"][:_MAX_SETTINGS]
    columns = [
        *(_column(key) for key in ("run", "trained on", *settings, "tested on")),
        *(_metric_column(key, metric) for key, metric in SOURCE_METRICS.items()),
    ]
    cells = [
        [
            row["run"],
            row["trained_on"],
            *(_setting(row["settings"][key]) for key in settings),
            source,
            *(_estimate(tested[key]["value"], tested[key]) for key in SOURCE_METRICS),
        ]
        for row in transfer["rows"]
        for source, tested in row["tested"].items()
    ]
    return {"columns": columns, "rows": _rounded(cells)}


def _repeated(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    settings = list(rows[0]["settings"])[:_MAX_SETTINGS] if rows else []
    columns = [
        *(_column(key) for key in settings),
        _column("runs", kind="number"),
        _column("accuracy", "mean accuracy", "percent"),
        _column("deviation", "standard deviation", "percent"),
        _column("difference", kind="percent"),
        _column("p", kind="number"),
        _column("test"),
    ]
    cells = [
        [
            *(_setting(row["settings"][key]) for key in settings),
            *(row[key] for key in ("repetitions", "accuracy", "deviation")),
            _estimate(row.get("difference"), row),
            row.get("p"),
            "" if "difference" in row else row.get("refused", "reference"),
        ]
        for row in rows
    ]
    return {"columns": columns, "rows": _rounded(cells)}


def _estimate(value: float | None, limits: Mapping[str, Any] | None) -> Any:
    low, high = (limits or {}).get("low"), (limits or {}).get("high")
    return value if value is None or low is None or high is None else [value, low, high]


def _setting(value: Any) -> Any:
    is_plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return value if is_plain or value is None else str(value)


def _rounded(cell: Any) -> Any:
    if isinstance(cell, list):
        return [_rounded(item) for item in cell]
    return float(f"{cell:.{_DIGITS}g}") if isinstance(cell, float) else cell
