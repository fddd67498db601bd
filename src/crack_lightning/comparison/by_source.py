"""Metrics of runs on each test source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.evaluation.metrics.registry import METRICS
from crack_lightning.runtime.files.csv_files import write_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from crack_lightning.comparison.run_results import RunResult

SOURCE_METRICS = {name: METRICS[name] for name in ("auroc", "balanced_accuracy", "accuracy")}
_TRAINED_ON = "data.train_sources"


def by_source_table(runs: Sequence[RunResult], differing: Sequence[str]) -> dict[str, Any]:
    """Tabulate the metrics of runs by test source.

    Args:
        runs: In the order of the rows.
        differing: Keys of the settings that differ between the runs.

    Returns:
        ``sources`` (all test sources), ``varied`` (the differing settings except the training sources), and
        ``rows``, one per run with several sources: ``run``, ``trained_on``, ``settings`` and ``tested``,
        which has for each source the number of ``tiles`` and ``value``, ``low`` and ``high`` (``None`` where
        undefined) of each of ``SOURCE_METRICS``.
    """
    varied = [key for key in differing if key != _TRAINED_ON]
    rows = [
        {
            "run": run.name,
            "trained_on": " + ".join(run.trained_on),
            "settings": {key: run.settings.get(key) for key in varied},
            "tested": {source: _tested(run, results) for source, results in run.sources.items()},
        }
        for run in runs
        if run.sources
    ]
    sources = dict.fromkeys(source for row in rows for source in row["tested"])
    return {"sources": list(sources), "varied": varied, "rows": rows}


def _tested(run: RunResult, results: Mapping[str, Any]) -> dict[str, Any]:
    ranked = run.positive_class if len(run.class_names) == 2 and run.positive_class else "macro"
    figures = {}
    for name, metric in SOURCE_METRICS.items():
        key = f"{name}_{ranked}" if metric.scope == "class" else name
        limits = results["intervals"].get(key, {})
        value = results["metrics"][key]
        figures[name] = {"value": value, "low": limits.get("low"), "high": limits.get("high")}
    return {"tiles": results["metrics"]["tiles"], **figures}


def write_by_source(table: Mapping[str, Any], path: Path) -> None:
    """Write one row per run and test source as CSV."""
    ends = [(name, end) for name in SOURCE_METRICS for end in ("value", "low", "high")]
    named = [name if end == "value" else f"{name}_{end}" for name, end in ends]
    rows = (
        [
            *(row["run"], *row["settings"].values(), row["trained_on"], source, tested["tiles"]),
            *(tested[name][end] for name, end in ends),
        ]
        for row in table["rows"]
        for source, tested in row["tested"].items()
    )
    write_table(path, ["run", *table["varied"], "trained_on", "tested_on", "tiles", *named], rows)
