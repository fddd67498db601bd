"""Reading of finished runs."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.report.report_file import read_report
from crack_lightning.runtime.files.csv_files import read_table
from crack_lightning.runtime.files.untrusted_files import COUNT, NUMBER, read_json, require_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


class IncomparableError(Exception):
    """Two runs cannot be compared tile by tile, for the reason in its text."""


@dataclass(frozen=True)
class TileResults:
    """Paths (sorted), groups, true and predicted classes of N test tiles, str ``(N,)`` each."""

    path: NDArray[np.str_]
    group: NDArray[np.str_]
    label: NDArray[np.str_]
    predicted: NDArray[np.str_]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each prediction is correct, bool ``(N,)``."""
        return np.asarray(self.label == self.predicted)


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """Settings, test results and cost of a finished run.

    Attributes:
        name: Its folder relative to the common folder of the compared runs.
        title: Heading of its report.
        settings: Settings by full key, without output paths and display options.
        class_names: Names by class index, K of them.
        positive_class: The class that means "crack", or ``None``.
        validation: ``val/accuracy`` and ``val/loss`` (nats) of its checkpoint; empty where it has none.
        metrics: Test metrics by name.
        intervals: ``low`` and ``high`` by metric.
        tiles: Reads its test tiles; raises :class:`IncomparableError` if they are damaged.
        tested: Digest of the test files; ``None`` if unknown.
        train_tiles: Number of training tiles.
        trained_on: Names of its training sources.
        sources: Metrics and intervals by test source.
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
    tiles: Callable[[], TileResults]
    tested: str | None
    train_tiles: int
    trained_on: list[str]
    sources: dict[str, dict[str, Any]]
    seconds: dict[str, float]
    parameters: int

    @property
    def all_seconds(self) -> float:
        """Total seconds."""
        return float(sum(self.seconds.values()))

    @property
    def tiles_per_second(self) -> float | None:
        """Test tiles read and predicted per second; ``None`` for a linear probe on cached features."""
        seconds = self.seconds.get("test")
        on_features = self.settings.get("recipe.name") == "probe"
        return self.metrics["tiles"] / seconds if seconds and not on_features else None


def common_parent(folders: Sequence[Path]) -> Path:
    """Return the deepest folder above all of the folders."""
    return Path(os.path.commonpath([folder.absolute().parent for folder in folders]))


def read_runs(folders: Sequence[Path]) -> tuple[list[RunResult], dict[Path, str]]:
    """Read finished runs, named by their folders relative to the common parent folder.

    Returns:
        The runs, and by folder the reason why one cannot be read.
    """
    runs, reasons = [], {}
    parent = common_parent(folders)
    for folder in folders:
        try:
            runs.append(_read(folder, folder.absolute().relative_to(parent).as_posix()))
        except _DAMAGE as error:
            reasons[folder] = f"its report/report.json cannot be read ({error})"
    return runs, reasons


def _read(folder: Path, name: str) -> RunResult:
    report = read_report(folder / "report" / "report.json", _REPORT)
    metrics, limits = report["metrics"], report.get("intervals_by_source") or {}
    require_shape(metrics, {"tiles": COUNT, "errors": COUNT, "accuracy": NUMBER}, name="metrics")
    if not 0 <= metrics["accuracy"] <= 1:
        raise ValueError(f"an accuracy of {metrics['accuracy']}")
    if not (folder / "predictions.csv").is_file():
        raise ValueError("predictions.csv is missing")
    nested = report["provenance"]["settings"]
    settings = flatten(nested)
    require_shape([value for value in settings.values() if type(value) in (int, float)], [NUMBER])
    return RunResult(
        name=name,
        title=report["title"],
        settings={key: settings[key] for key in settings if key not in _IGNORED_SETTINGS},
        class_names=report["class_names"],
        positive_class=report["positive_class"],
        validation=_validation(folder),
        metrics=metrics,
        intervals=report["uncertainty"]["intervals"],
        tiles=partial(read_tiles, folder),
        tested=report["data"].get("test_sha256"),
        train_tiles=report["data"]["splits"].get("train", {}).get("tiles", 0),
        trained_on=_trained_on(nested.get("data", {})),
        sources={
            source: {"metrics": figures, "intervals": limits.get(source, {})}
            for source, figures in (report.get("by_source") or {}).items()
        },
        seconds=report["timing"]["seconds"],
        parameters=report["provenance"]["parameters"],
    )


def read_tiles(folder: Path) -> TileResults:
    """Read the test tiles of a run.

    Raises:
        IncomparableError: If its ``predictions.csv`` cannot be read.
    """
    try:
        rows = sorted(read_table(folder / "predictions.csv")[1], key=lambda row: row["path"])
        if not rows:
            raise ValueError("it has no rows")
        columns = ("path", "group", "label", "predicted")
        return TileResults(*(np.array([row[key] for row in rows]) for key in columns))
    except _DAMAGE as error:
        reason = f"no column {error}" if isinstance(error, KeyError) else str(error)
        raise IncomparableError(f"its predictions.csv cannot be read ({reason})") from None


def _validation(folder: Path) -> dict[str, float]:
    """Return the validation metrics of a run; empty for an evaluation, which has no ``state.json``."""
    try:
        metrics = read_json(folder / "state.json")["validation"]
        return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
    except _DAMAGE:
        return {}


def _trained_on(data: Mapping[str, Any]) -> list[str]:
    return list(data.get("train_sources") or data.get("sources") or [])


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to full keys.

    >>> flatten({"seed": 0, "model": {"name": "m"}, "logger": {}})
    {'seed': 0, 'model.name': 'm', 'logger': {}}
    """
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        nested = isinstance(value, dict) and value
        flat |= flatten(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return flat


def differing_keys(runs: Sequence[RunResult]) -> list[str]:
    """Return the keys of settings that differ between runs, sorted."""
    keys = sorted(set(chain.from_iterable(run.settings for run in runs)))
    return [key for key in keys if len({repr(run.settings.get(key)) for run in runs}) > 1]
