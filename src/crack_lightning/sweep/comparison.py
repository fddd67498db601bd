"""Runs side by side: what they were told, what they found, what they cost, and whether it differs."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.errors import DataError
from crack_lightning.evaluation.intervals import group_codes
from crack_lightning.evaluation.paired import difference_interval, holm, mcnemar_exact, paired_t
from crack_lightning.report.evidence_figures import scatter_figure
from crack_lightning.report.figures import save_figure
from crack_lightning.report.page import data_url, render
from crack_lightning.run_folder import whole_file, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

REPEATS = ("seed", "data.split.seed", "data.split.fold")
_MACHINE = ("trainer.threads", "trainer.max_epochs", "plugins", "callbacks.", "logger.")
_PICTURE = "error_against_time.png"


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """A finished run.

    Attributes:
        folder: Its folder.
        settings: Its settings by full key.
        report: What its ``report.json`` holds.
        path: The tested tiles, sorted, str ``(N,)``.
        group: Their groups, str ``(N,)``.
        right: Whether each was called rightly, bool ``(N,)``.
    """

    folder: Path
    settings: dict[str, Any]
    report: dict[str, Any]
    path: NDArray[np.str_]
    group: NDArray[np.str_]
    right: NDArray[np.bool_]

    @classmethod
    def read(cls, folder: Path) -> RunResult:
        """Read what a run left.

        Raises:
            DataError: If it has not finished, or its files cannot be read.
        """
        try:
            report = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
            with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
                rows = sorted(csv.DictReader(file), key=lambda row: row["path"])
            return cls(
                folder=folder,
                settings=dict(_flat(report["provenance"]["settings"])),
                report=report,
                path=np.array([row["path"] for row in rows]),
                group=np.array([row["group"] for row in rows]),
                right=np.array([row["label"] == row["predicted"] for row in rows]),
            )
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"runs: '{folder}' holds no finished run ({error}); give folders with a report, or a "
                "multirun's folder."
            ) from None

    @property
    def seconds(self) -> float:
        """How long it took in all."""
        return float(sum(self.report["timing"]["seconds"].values()))


def run_folders(paths: Sequence[Path]) -> list[Path]:
    """Return the runs among folders: a folder with a report, or those in it that have one.

    Raises:
        DataError: If a folder is not there or has none.
    """
    found: list[Path] = []
    for path in paths:
        below = [path] if (path / "report" / "report.json").is_file() else _finished_below(path)
        if not below:
            raise DataError(
                f"runs: there is no finished run in '{path}'; give folders of runs or of a sweep."
            )
        found += [folder for folder in below if folder not in found]
    return found


def _finished_below(path: Path) -> list[Path]:
    folders = [report.parents[1] for report in path.glob("**/report/report.json")]
    return sorted(folders, key=lambda folder: [(len(part), part) for part in folder.parts])


def compare_runs(runs: Sequence[RunResult]) -> dict[str, Any]:
    """Compare finished runs.

    Returns:
        ``differing`` (the settings that are not the same in all), ``runs`` (a row each, the best first),
        ``tests`` (each run against the best on the same test tiles: McNemar's exact p-value, Holm's
        adjustment, the difference of accuracy with its interval; or why there is none), and ``repeated``
        (settings that were run with several seeds or folds, against the best of them).
    """
    keys = sorted(set(chain.from_iterable(run.settings for run in runs)))
    differing = [
        key
        for key in keys
        if not key.startswith(_MACHINE) and len({repr(run.settings.get(key)) for run in runs}) > 1
    ]
    ordered = sorted(runs, key=lambda run: (-run.report["metrics"]["accuracy"], run.seconds))
    return {
        "differing": differing,
        "runs": [_row(run, differing) for run in ordered],
        "tests": _tests(ordered),
        "repeated": _repeated(ordered, differing),
    }


def _row(run: RunResult, differing: Sequence[str]) -> dict[str, Any]:
    metrics, told = run.report["metrics"], run.report["uncertainty"]["intervals"]
    return {
        "run": run.folder.name,
        "title": run.report["title"],
        "settings": {key: run.settings.get(key) for key in differing},
        "metrics": metrics,
        "interval": told["accuracy"],
        "error": 1 - metrics["accuracy"],
        "seconds": run.seconds,
        "parameters": run.report["provenance"]["parameters"],
    }


def _tests(runs: Sequence[RunResult]) -> list[dict[str, Any]]:
    best, *others = runs
    found: list[dict[str, Any]] = []
    for run in others:
        if not np.array_equal(run.path, best.path):
            shared = len(np.intersect1d(run.path, best.path))
            why = f"other test tiles: {shared:,} of {len(best.path):,} are shared"
            found.append({"run": run.folder.name, "against": best.folder.name, "refused": why})
            continue
        low, high = difference_interval(run.right, best.right, group_codes(best.group))
        found.append(
            {
                "run": run.folder.name,
                "against": best.folder.name,
                "difference": float(run.right.mean() - best.right.mean()),
                "low": low,
                "high": high,
                "p": mcnemar_exact(run.right, best.right),
            }
        )
    tested = [row for row in found if "p" in row]
    for row, adjusted in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row["p_adjusted"] = adjusted
    return found


def _repeated(runs: Sequence[RunResult], differing: Sequence[str]) -> list[dict[str, Any]]:
    """Put runs together that differ in nothing but their seeds or folds, the best settings first."""
    own = [key for key in differing if key not in REPEATS]
    sets: dict[str, dict[str, RunResult]] = {}
    for run in runs:
        of = json.dumps({key: run.settings.get(key) for key in own})
        sets.setdefault(of, {})[repr([run.settings.get(key) for key in REPEATS])] = run
    if not any(len(part) > 1 for part in sets.values()):
        return []

    def scores(part: dict[str, RunResult]) -> dict[str, float]:
        return {repeat: run.report["metrics"]["accuracy"] for repeat, run in part.items()}

    ordered = sorted(sets.items(), key=lambda item: -float(np.mean(list(scores(item[1]).values()))))
    best = scores(ordered[0][1])
    rows = []
    for of, part in ordered:
        values = scores(part)
        row: dict[str, Any] = {
            "settings": json.loads(of),
            "repetitions": len(values),
            "accuracy": float(np.mean(list(values.values()))),
            "deviation": float(np.std(list(values.values()), ddof=1)) if len(values) > 1 else None,
        }
        if values.keys() == best.keys() and part is not ordered[0][1]:
            order = sorted(values)
            mean, interval, p_value = paired_t([values[key] for key in order], [best[key] for key in order])
            row |= {"difference": mean, "low": interval.low, "high": interval.high, "p": p_value}
        rows.append(row)
    return rows


def _flat(settings: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for key, value in settings.items():
        found += (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else [(prefix + key, value)]
        )
    return found


def write_comparison(paths: Sequence[Path], folder: Path, *, title: str, command: str = "") -> dict[str, Any]:
    """Write ``comparison.json``, ``comparison.csv`` and ``comparison.html`` about the runs in some folders.

    Raises:
        DataError: If there are fewer than two finished runs.
    """
    runs = [RunResult.read(path) for path in run_folders(paths)]
    if len(runs) < 2:
        raise DataError(f"runs: two or more finished runs are expected, got {len(runs)}; give more folders.")
    contents = compare_runs(runs) | {"title": title, "command": command}
    points = [(row["seconds"], row["error"], row["run"]) for row in contents["runs"]]
    save_figure(scatter_figure(points), folder / _PICTURE)
    write_text(folder / "comparison.json", json.dumps(contents, indent=1, ensure_ascii=False) + "\n")
    _write_csv(contents, folder / "comparison.csv")
    picture = data_url((folder / _PICTURE).read_bytes(), "image/png")
    write_text(folder / "comparison.html", render("comparison.html.j2", **contents, picture=picture))
    return contents


def _write_csv(contents: dict[str, Any], path: Path) -> None:
    names = sorted(set(chain.from_iterable(row["metrics"] for row in contents["runs"])))
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["run", *contents["differing"], *names, "low", "high", "seconds", "parameters"])
        for row in contents["runs"]:
            writer.writerow(
                [
                    row["run"],
                    *row["settings"].values(),
                    *(row["metrics"].get(name) for name in names),
                    row["interval"]["low"],
                    row["interval"]["high"],
                    round(row["seconds"], 3),
                    row["parameters"],
                ]
            )
