"""Finished runs as a comparison reads them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.csv_files import read_table
from crack_lightning.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_WHERE_AND_HOW_SHOWN = ("outputs", "resume", "progress", "model.label")


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a finished run was told, what it found on its N test tiles, and what that cost.

    Attributes:
        name: Its folder below what the compared runs share.
        title: Heading of its report.
        settings: By full key; not where it wrote, nor how it showed itself.
        class_names: Names by class index, K of them.
        positive_class: The class that means "crack", or ``None``.
        metrics: Its test figures by name.
        intervals: Their ``low`` and ``high``, where they have some.
        path: The tested tiles, sorted, str ``(N,)``.
        group: Their groups, str ``(N,)``.
        label: Their classes, str ``(N,)``.
        called: What they were called, str ``(N,)``.
        tested: Digest of the tested files; ``None`` where it is not known.
        train_tiles: Number of tiles that it was trained on.
        trained_on: The sources that it learnt from.
        sources: By tested source its ``metrics`` and ``intervals``; empty where all is of one source.
        seconds: How long it took, by phase.
        parameters: Weights of the model.
    """

    name: str
    title: str
    settings: dict[str, Any]
    class_names: list[str]
    positive_class: str | None
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
        """Whether each tile was called rightly, bool ``(N,)``."""
        return np.asarray(self.label == self.called)

    @property
    def all_seconds(self) -> float:
        """How long it took in all."""
        return float(sum(self.seconds.values()))

    @property
    def tiles_per_second(self) -> float | None:
        """Tiles that were read and told a second; ``None`` for a head on kept features."""
        told = self.seconds.get("test")
        return len(self.path) / told if told and self.settings.get("recipe.name") != "probe" else None


def read_runs(folders: Sequence[Path]) -> list[RunResult]:
    """Read what runs left, each named by its folder below the one that all share.

    Raises:
        DataError: If one has not finished, or its files cannot be read.
    """
    common = os.path.commonpath([folder.absolute().parent for folder in folders])
    return [_read(folder, folder.absolute().relative_to(common).as_posix()) for folder in folders]


def _read(folder: Path, name: str) -> RunResult:
    try:
        report = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
        rows = sorted(read_table(folder / "predictions.csv")[1], key=lambda row: row["path"])
        limits = report.get("intervals_by_source") or {}
        settings = flat(report["provenance"]["settings"])
        columns = {key: np.array([row[key] for row in rows]) for key in ("path", "group", "label")}
        return RunResult(
            name=name,
            title=report["title"],
            settings={key: settings[key] for key in settings if key not in _WHERE_AND_HOW_SHOWN},
            class_names=report["class_names"],
            positive_class=report["positive_class"],
            metrics=report["metrics"],
            intervals=report["uncertainty"]["intervals"],
            **columns,
            called=np.array([row["predicted"] for row in rows]),
            tested=report["data"].get("tested_sha256"),
            train_tiles=report["data"]["splits"].get("train", {}).get("tiles", 0),
            trained_on=_trained_on(report["provenance"]["settings"].get("data", {})),
            sources={
                source: {"metrics": metrics, "intervals": limits.get(source, {})}
                for source, metrics in (report.get("by_source") or {}).items()
            },
            seconds=report["timing"]["seconds"],
            parameters=report["provenance"]["parameters"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"runs: '{folder}' holds no finished run ({error}); give folders with a report, or a "
            "multirun's folder."
        ) from None


def _trained_on(data: Mapping[str, Any]) -> list[str]:
    return list(data.get("train_sources") or data.get("sources") or [])


def run_folders(paths: Sequence[Path]) -> list[Path]:
    """Return the runs among folders: a folder with a report, or those in it that have one.

    Raises:
        DataError: If a folder is not there or has none.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        below = [path] if (path / "report" / "report.json").is_file() else _finished_below(path)
        if not below:
            raise DataError(
                f"runs: there is no finished run in '{path}'; give folders of runs or of a sweep."
            )
        found |= {folder.absolute(): folder for folder in below if folder.absolute() not in found}
    return list(found.values())


def _finished_below(path: Path) -> list[Path]:
    folders = [report.parents[1] for report in path.glob("**/report/report.json")]
    return sorted(folders, key=lambda folder: [(len(part), part) for part in folder.parts])


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by full key.

    >>> flat({"seed": 0, "model": {"name": "m"}, "logger": {}})
    {'seed': 0, 'model.name': 'm', 'logger': {}}
    """
    found: dict[str, Any] = {}
    for key, value in settings.items():
        nested = isinstance(value, dict) and value
        found |= flat(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return found


def differing_keys(runs: Sequence[RunResult]) -> list[str]:
    """Return the settings that are not the same in all runs, in the order of their names."""
    keys = sorted(set(chain.from_iterable(run.settings for run in runs)))
    return [key for key in keys if len({repr(run.settings.get(key)) for run in runs}) > 1]
