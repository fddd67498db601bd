"""Comparison of finished runs: settings, metrics, cost, and tests against a reference run."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any

from crack_lightning.comparison.aggregate import FOLD, SEEDS, aggregate_seeds, pool_folds
from crack_lightning.comparison.by_source import SOURCE_METRICS, by_source_table, write_by_source
from crack_lightning.comparison.figures import parallel_figure, scatter_figure
from crack_lightning.comparison.find_runs import find_runs
from crack_lightning.comparison.page_tables import page_tables
from crack_lightning.comparison.reference_tests import (
    BEST_TESTED,
    MANY_RUNS,
    choose_reference,
    choose_tested,
    rank_by_validation,
    tests_against,
)
from crack_lightning.comparison.run_results import RunResult, common_parent, differing_keys, read_runs
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
_SHOWN_REASONS = 5


def compare_runs(runs: Sequence[RunResult], *, tested: Sequence[str] = ()) -> dict[str, Any]:
    """Compare finished runs.

    Args:
        runs: The runs, at least one.
        tested: Names of the runs to test; see :func:`choose_tested`.

    Returns:
        ``differing`` (keys of the settings that differ), ``positive_class`` (of two classes, else ``None``),
        ``runs`` and ``pooled`` (rows of the runs and of the cross-validations, by descending test accuracy),
        ``reference`` (row of the run that the others are tested against), ``chosen_by`` (how it was chosen),
        ``tests`` (see :func:`tests_against`), ``tested_by`` (which runs are tested; empty for all),
        ``repeated`` (settings with several seeds, see :func:`aggregate_seeds`), and ``transfer`` (metrics by
        test source).
    """
    differing = differing_keys(runs)
    pools, compared = pool_folds(runs)
    ranked, chosen_by = rank_by_validation(compared)
    reference, reference_tiles = choose_reference(ranked)
    others, tested_by = choose_tested(ranked, reference, tested)
    ordered = _best_first(runs)
    return {
        "differing": differing,
        "positive_class": runs[0].positive_class if len(runs[0].class_names) == 2 else None,
        "runs": [_row(run, differing) for run in ordered],
        "pooled": [_row(pool, differing) for pool in _best_first(pools)],
        "reference": _row(reference, differing),
        "chosen_by": chosen_by,
        "tests": tests_against(reference, reference_tiles, _best_first(others)),
        "tested_by": tested_by,
        "repeated": aggregate_seeds(compared, num_tested=BEST_TESTED if len(runs) > MANY_RUNS else None),
        "transfer": by_source_table(ordered, differing),
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


def compare_folders(
    paths: Sequence[Path],
    *,
    tested: Sequence[str] = (),
    without: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Compare the finished runs in folders of runs or of sweeps.

    Args:
        paths: The folders.
        tested: Names of the runs to test; see :func:`choose_tested`.
        without: Jobs of a sweep without a result: ``run``, ``overrides`` and ``status`` of each; by default
            all folders below ``paths`` that hold a run without a report.

    Returns:
        The result of :func:`compare_runs`, and ``without``, to which runs are added that cannot be read.

    Raises:
        DataError: If there are fewer than two finished runs.
    """
    folders, unfinished = find_runs(paths)
    runs, damaged = read_runs(folders) if folders else ([], {})
    reasons = damaged | (unfinished if without is None else {})
    if len(runs) < 2:
        named = [f"\n  '{path}': {why}" for path, why in reasons.items()]
        raise DataError(
            f"runs: two or more finished runs are expected, got {len(runs)}; give more folders."
            f"{''.join(named[:_SHOWN_REASONS])}"
        )
    parent = common_parent(folders)
    unread = [
        {"run": _relative(path, parent), "overrides": [], "status": why} for path, why in reasons.items()
    ]
    return compare_runs(runs, tested=tested) | {"without": [*(without or ()), *unread]}


def write_comparison(
    contents: Mapping[str, Any],
    folder: Path,
    *,
    title: str = "",
    command: str = "",
    pictures: Mapping[str, tuple[Figure, str]] | None = None,
) -> None:
    """Write ``comparison.json``, ``comparison.csv`` and ``comparison.html``.

    With several test sources ``comparison_by_source.csv`` has the metrics by source.

    Args:
        contents: From :func:`compare_folders`.
        folder: Output folder.
        title: Heading of the page; by default the number of runs.
        command: The command line.
        pictures: Further figures by file name, each with its alternative text.
    """
    rows = contents["runs"]
    contents = {**contents, "title": title or comparison_title(rows), "command": command}
    many = len(rows) > MANY_RUNS
    figures = _figures(rows, contents["differing"]) | dict(pictures or {})
    for name, (figure, _) in figures.items():
        save_figure(figure, folder / name)
    text = json.dumps(contents, indent=None if many else 1, ensure_ascii=False)  # indented 20 times as slow
    write_text(folder / "comparison.json", text + "\n")
    _write_csv(contents, folder / "comparison.csv")
    if contents["transfer"]["rows"]:
        write_by_source(contents["transfer"], folder / "comparison_by_source.csv")
    metrics = {key: metric for key, metric in keys_of(contents["positive_class"]).items() if metric.headline}
    page = render(
        "comparison.html.j2",
        **contents,
        columns=metrics,
        source_columns=SOURCE_METRICS,
        pictures={
            data_url((folder / name).read_bytes(), "image/png"): text for name, (_, text) in figures.items()
        },
        paged=page_tables(contents, metrics) if many else {},
    )
    write_text(folder / "comparison.html", page)


def comparison_title(rows: Sequence[Any]) -> str:
    """Return the heading, with the number of runs."""
    return f"Comparison of {len(rows):,} runs"


def _relative(path: Path, parent: Path) -> str:
    path = path.absolute()
    return path.relative_to(parent).as_posix() if path.is_relative_to(parent) else str(path)


def _figures(rows: Sequence[Mapping[str, Any]], differing: Sequence[str]) -> dict[str, tuple[Figure, str]]:
    """Draw the figures of runs; return each with its alternative text, by file name."""
    figures = {
        "error_against_time.png": scatter_figure([(row["seconds"], row["error"], row["run"]) for row in rows])
    }
    if keys := [key for key in differing if key not in (FOLD, *SEEDS)]:
        accuracy = [row["metrics"]["accuracy"] for row in rows]
        figures["settings.png"] = parallel_figure([row["settings"] for row in rows], keys, accuracy)
    return {name: (figure, _PICTURES[name]) for name, figure in figures.items()}


def _write_csv(contents: Mapping[str, Any], path: Path) -> None:
    """Write one row per run, then one per cross-validation."""
    rows = [*contents["runs"], *contents["pooled"]]
    metrics, limits, validated = (
        sorted(set(chain.from_iterable(row[part] for row in rows)))
        for part in ("metrics", "intervals", "validation")
    )
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
