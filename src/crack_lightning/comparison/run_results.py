"""Reading of finished runs."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.report.report_file import read_report
from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.files.csv_files import read_table
from crack_lightning.runtime.files.untrusted_files import COUNT, NUMBER, read_text, require_shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_IGNORED_SETTINGS = ("outputs", "resume", "progress", "model.label")

_FIGURES, _LIMITS = {"*": (NUMBER, None)}, {"*": {"low": NUMBER, "high": NUMBER}}
_REPORT = {
    "title": str,
    "class_names": [str],
    "positive_class": (str, None),
    "metrics": _FIGURES,
    "uncertainty": {"intervals": _LIMITS},
    "timing": {"seconds": {"*": NUMBER}},
    "by_source": ({"*": _FIGURES}, None),
    "intervals_by_source": ({"*": _LIMITS}, None),
    "provenance": {"settings": dict, "parameters": COUNT},
}
"""The fields of a report that are read, with their types; the file may be from an untrusted source."""


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """Settings, test results on N tiles and cost of a finished run.

    Attributes:
        name: Its folder relative to the common folder of the compared runs.
        title: Heading of its report.
        settings: Settings by full key, without output paths and display options.
        class_names: Names by class index, K of them.
        positive_class: The class that means "crack", or ``None``.
        validation: ``val/accuracy`` and ``val/loss`` (nats) of its checkpoint; empty where it has none.
        metrics: Test metrics by name.
        intervals: ``low`` and ``high`` by metric.
        path: Paths of the test tiles, sorted, str ``(N,)``.
        group: Group of each test tile, str ``(N,)``.
        label: True class of each test tile, str ``(N,)``.
        called: Predicted class of each test tile, str ``(N,)``.
        tested: Digest of the test files; ``None`` if unknown.
        train_tiles: Number of training tiles.
        trained_on: Training sources.
        sources: ``metrics`` and ``intervals`` by test source; empty for a single source.
        seconds: Seconds by phase.
        parameters: Number of parameters of the model.
    """

    name: str
    title: str
    settings: dict[str, Any]
    class_names: list[str]
    positive_class: str | None
    validation: dict[str, float]
    metrics: dict[str, Any]
    intervals: dict[str, dict[str, Any]]
    path: NDArray[np.str_]
    group: NDArray[np.str_]
    label: NDArray[np.str_]
    called: NDArray[np.str_]
    tested: str | None
    train_tiles: int
    trained_on: list[str]
    sources: dict[str, dict[str, Any]]
    seconds: dict[str, float]
    parameters: int

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each prediction is correct, bool ``(N,)``."""
        return np.asarray(self.label == self.called)

    @property
    def all_seconds(self) -> float:
        """Total seconds."""
        return float(sum(self.seconds.values()))

    @property
    def tiles_per_second(self) -> float | None:
        """Test tiles read and predicted per second; ``None`` for a linear probe on cached features."""
        seconds = self.seconds.get("test")
        return len(self.path) / seconds if seconds and self.settings.get("recipe.name") != "probe" else None


def read_runs(folders: Sequence[Path]) -> list[RunResult]:
    """Read finished runs, named by their folders relative to the common parent folder.

    Raises:
        DataError: If a run is not finished, or its files cannot be read.
    """
    common = os.path.commonpath([folder.absolute().parent for folder in folders])
    return [_read(folder, folder.absolute().relative_to(common).as_posix()) for folder in folders]


def _read(folder: Path, name: str) -> RunResult:
    try:
        report = read_report(folder / "report" / "report.json", _REPORT)
        require_shape(report["metrics"], {"tiles": COUNT, "errors": COUNT}, name="metrics")
        rows = _predictions(folder)
        limits = report.get("intervals_by_source") or {}
        settings = flatten(report["provenance"]["settings"])
        require_shape([value for value in settings.values() if type(value) in (int, float)], [NUMBER])
        columns = {key: np.array([row[key] for row in rows]) for key in ("path", "group", "label")}
        return RunResult(
            name=name,
            title=report["title"],
            settings={key: settings[key] for key in settings if key not in _IGNORED_SETTINGS},
            class_names=report["class_names"],
            positive_class=report["positive_class"],
            validation=_validation(folder),
            metrics=_with_accuracy(report["metrics"]),
            intervals=report["uncertainty"]["intervals"],
            **columns,
            called=np.array([row["predicted"] for row in rows]),
            tested=report["data"].get("test_sha256"),
            train_tiles=report["data"]["splits"].get("train", {}).get("tiles", 0),
            trained_on=_trained_on(report["provenance"]["settings"].get("data", {})),
            sources={
                source: {"metrics": metrics, "intervals": limits.get(source, {})}
                for source, metrics in (report.get("by_source") or {}).items()
            },
            seconds=report["timing"]["seconds"],
            parameters=report["provenance"]["parameters"],
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"runs: '{folder}' holds no finished run ({error}); give folders with a report, or a "
            "multirun's folder."
        ) from None


def _predictions(folder: Path) -> list[dict[str, str]]:
    rows = sorted(read_table(folder / "predictions.csv")[1], key=lambda row: row["path"])
    if not rows:
        raise ValueError("predictions.csv has no rows")
    return rows


def _validation(folder: Path) -> dict[str, float]:
    """Return the validation metrics of a run; empty for an evaluation, which has no ``state.json``."""
    try:
        found = json.loads((folder / "state.json").read_text(encoding="utf-8"))["validation"]
        return {name: float(value) for name, value in found.items() if math.isfinite(value)}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _with_accuracy(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics, with an accuracy by which runs can be sorted.

    Raises:
        ValueError: If the accuracy is not between 0 and 1.
    """
    if not 0 <= float(metrics["accuracy"]) <= 1:
        raise ValueError(f"an accuracy of {metrics['accuracy']}")
    return metrics


def _trained_on(data: Mapping[str, Any]) -> list[str]:
    return list(data.get("train_sources") or data.get("sources") or [])


def run_folders(paths: Sequence[Path]) -> list[Path]:
    """Return the run folders among paths: a folder with a report, or those below it that have one.

    Raises:
        DataError: If a folder does not exist or has no finished run.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        below = [path] if (path / "report" / "report.json").is_file() else _finished_below(path)
        if not below:
            raise DataError(f"runs: {_why_nothing_to_compare(path)}")
        found |= {folder.absolute(): folder for folder in below if folder.absolute() not in found}
    return list(found.values())


def _why_nothing_to_compare(path: Path) -> str:
    """Return a sentence on a folder without a report, with the next step."""
    of_predict = any(_is_of_predict(file) for file in [path / "config.yaml", *path.glob("**/config.yaml")])
    if of_predict and not list(path.glob("**/state.json")):
        return (
            f"'{path}' holds predictions without labels, which cannot be compared; run evaluate with "
            "each checkpoint on the same labelled tiles, and compare those folders."
        )
    return f"there is no finished run in '{path}'; give folders of runs or of a sweep."


def _is_of_predict(config: Path) -> bool:
    try:
        keys = {line.partition(":")[0] for line in read_text(config).splitlines()}
    except (OSError, ValueError):
        return False
    return {"checkpoint", "source"} <= keys


def _finished_below(path: Path) -> list[Path]:
    folders = [report.parents[1] for report in path.glob("**/report/report.json")]
    return sorted(folders, key=lambda folder: [(len(part), part) for part in folder.parts])


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to full keys.

    >>> flatten({"seed": 0, "model": {"name": "m"}, "logger": {}})
    {'seed': 0, 'model.name': 'm', 'logger': {}}
    """
    found: dict[str, Any] = {}
    for key, value in settings.items():
        nested = isinstance(value, dict) and value
        found |= flatten(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return found


def differing_keys(runs: Sequence[RunResult]) -> list[str]:
    """Return the keys of settings that differ between runs, sorted."""
    keys = sorted(set(chain.from_iterable(run.settings for run in runs)))
    return [key for key in keys if len({repr(run.settings.get(key)) for run in runs}) > 1]
