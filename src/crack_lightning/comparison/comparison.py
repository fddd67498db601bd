"""Comparison of finished runs: settings, metrics, cost, and tests against a reference run."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any

from crack_lightning.comparison.aggregate import FOLD, SEEDS, aggregate_seeds, pool_folds
from crack_lightning.comparison.by_source import SOURCE_METRICS, by_source_table, write_by_source
from crack_lightning.comparison.figures import parallel_figure, scatter_figure
from crack_lightning.comparison.reference_tests import choose_reference, tests_against
from crack_lightning.comparison.run_results import RunResult, differing_keys, read_runs, run_folders
from crack_lightning.evaluation.metrics.registry import keys_of
from crack_lightning.report.figures.style import save_figure
from crack_lightning.report.render.page import data_url, render
from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.files.atomic_write import write_text
from crack_lightning.runtime.files.csv_files import write_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

_PICTURES = {
    "error_against_time.png": "Test error rate of each run against its time",
    "settings.png": "Parallel coordinates of the settings, one line per run, coloured by accuracy",
}


def compare_runs(runs: Sequence[RunResult]) -> dict[str, Any]:
    """Compare finished runs.

    Returns:
        ``differing`` (keys of the settings that differ), ``positive_class`` (of two classes, else ``None``),
        ``runs`` and ``pooled`` (rows of the runs and of the cross-validations, by descending test accuracy),
        ``reference`` (row of the run that the others are tested against), ``chosen_by`` (how it was chosen),
        ``tests`` (see :func:`tests_against`), ``repeated`` (settings with several seeds, see
        :func:`aggregate_seeds`), and ``transfer`` (metrics by test source).
    """
    differing = differing_keys(runs)
    pools, compared = pool_folds(runs)
    reference, chosen_by = choose_reference(compared)
    others = [run for run in _best_first(compared) if run is not reference]
    return {
        "differing": differing,
        "positive_class": runs[0].positive_class if len(runs[0].class_names) == 2 else None,
        "runs": [_row(run, differing) for run in _best_first(runs)],
        "pooled": [_row(pool, differing) for pool in _best_first(pools)],
        "reference": _row(reference, differing),
        "chosen_by": chosen_by,
        "tests": tests_against(reference, others),
        "repeated": aggregate_seeds(compared),
        "transfer": by_source_table(_best_first(runs), differing),
    }


def _best_first(runs: Sequence[RunResult]) -> list[RunResult]:
    return sorted(runs, key=lambda run: (-run.metrics["accuracy"], run.all_seconds))


def _row(run: RunResult, differing: Sequence[str]) -> dict[str, Any]:
    return {
        "run": run.name,
        "title": run.title,
        "settings": {key: run.settings.get(key) for key in differing},
        "validation": run.validation,
        "metrics": run.metrics,
        "intervals": {key: {"low": row["low"], "high": row["high"]} for key, row in run.intervals.items()},
        "error": 1 - run.metrics["accuracy"],
        "seconds": run.all_seconds,
        "parameters": run.parameters,
        "tiles_per_second": run.tiles_per_second,
    }


def write_comparison(
    paths: Sequence[Path],
    folder: Path,
    *,
    title: str,
    command: str = "",
    without: Sequence[Mapping[str, Any]] = (),
    pictures: Mapping[str, tuple[Figure, str]] | None = None,
) -> dict[str, Any]:
    """Compare runs; write ``comparison.json``, ``comparison.csv`` and ``comparison.html``.

    With several test sources ``comparison_by_source.csv`` has the metrics by source.

    Args:
        paths: Folders of runs or of sweeps.
        folder: Output folder.
        title: Heading of the page.
        command: The command line.
        without: Jobs of a sweep without a result: ``run``, ``overrides`` and ``status`` of each.
        pictures: Further figures by file name, each with its alternative text.

    Raises:
        DataError: If there are fewer than two finished runs.
    """
    folders = run_folders(paths)
    if len(folders) < 2:
        raise DataError(
            f"runs: two or more finished runs are expected, got {len(folders)}; give more folders."
        )
    contents = compare_runs(read_runs(folders))
    contents |= {"title": title, "command": command, "without": list(without)}
    rows = contents["runs"]
    keys = [key for key in contents["differing"] if key not in (FOLD, *SEEDS)]
    figures = {"error_against_time.png": scatter_figure([(r["seconds"], r["error"], r["run"]) for r in rows])}
    if keys:
        accuracy = [row["metrics"]["accuracy"] for row in rows]
        figures["settings.png"] = parallel_figure([row["settings"] for row in rows], keys, accuracy)
    texts = dict(_PICTURES)
    for name, (figure, text) in (pictures or {}).items():
        figures[name], texts[name] = figure, text
    for name, figure in figures.items():
        save_figure(figure, folder / name)
    write_text(folder / "comparison.json", json.dumps(contents, indent=1, ensure_ascii=False) + "\n")
    _write_csv(contents, folder / "comparison.csv")
    if contents["transfer"]["rows"]:
        write_by_source(contents["transfer"], folder / "comparison_by_source.csv")
    shown = {data_url((folder / name).read_bytes(), "image/png"): texts[name] for name in figures}
    shown_keys = keys_of(contents["positive_class"])
    columns = {
        "columns": {key: metric for key, metric in shown_keys.items() if metric.headline},
        "source_columns": SOURCE_METRICS,
    }
    page = render("comparison.html.j2", **contents, **columns, pictures=shown)
    write_text(folder / "comparison.html", page)
    return contents


def _write_csv(contents: Mapping[str, Any], path: Path) -> None:
    """Write one row per run, then one per cross-validation."""
    rows = [*contents["runs"], *contents["pooled"]]
    metrics = sorted(set(chain.from_iterable(row["metrics"] for row in rows)))
    limits = sorted(set(chain.from_iterable(row["intervals"] for row in rows)))
    validated = sorted(set(chain.from_iterable(row["validation"] for row in rows)))
    cost = ("seconds", "parameters", "tiles_per_second")
    ends = [(name, end) for name in limits for end in ("low", "high")]
    cells = (
        [
            row["run"],
            *row["settings"].values(),
            *(row["validation"].get(name) for name in validated),
            *(row["metrics"].get(name) for name in metrics),
            *(row["intervals"].get(name, {}).get(end) for name, end in ends),
            *(row[key] for key in cost),
        ]
        for row in rows
    )
    named = [f"{name}_{end}" for name, end in ends]
    write_table(path, ["run", *contents["differing"], *validated, *metrics, *named, *cost], cells)
