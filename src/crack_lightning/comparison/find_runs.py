"""Search for run folders: the finished ones, and those that hold no finished run, with the reason."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.files.run_folder import OUTCOME
from crack_lightning.runtime.files.untrusted_files import read_json, read_text, require_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

_INSIDE_A_RUN = frozenset({"report", "checkpoints", "tensorboard"})
_OF_PREDICT = "predictions without labels, which cannot be compared; run evaluate with each checkpoint"
_TOP_LEVEL_KEY = re.compile(r"^(\w+):", re.MULTILINE)


def find_runs(paths: Sequence[Path]) -> tuple[list[Path], dict[Path, str]]:
    """Find the runs at the paths, or anywhere below.

    Returns:
        The folders that have a report, in the order of ``paths``, then by job number; and by folder the
        reason why a run, a job of a sweep or predictions have none.

    Raises:
        DataError: If a path has no run.
    """
    finished: dict[Path, Path] = {}
    others: dict[Path, str] = {}
    for path in paths:
        reports, reasons = ([path], {}) if _has_report(path) else _search(path)
        if not reports and _OF_PREDICT in reasons.values():
            raise DataError(
                f"runs: '{path}' holds {_OF_PREDICT} on the same labelled tiles, and compare those folders."
            )
        if not reports and not reasons:
            raise DataError(
                f"runs: there is no finished run in '{path}'; give folders of runs or of a sweep."
            )
        finished |= {folder.absolute(): folder for folder in reports if folder.absolute() not in finished}
        others |= reasons
    return list(finished.values()), others


def _has_report(folder: Path) -> bool:
    return (folder / "report" / "report.json").is_file()


def _search(path: Path) -> tuple[list[Path], dict[Path, str]]:
    reports: list[Path] = []
    reasons: dict[Path, str] = {}
    for name, subfolders, files in os.walk(path):
        folder = Path(name)
        if "report" in subfolders and _has_report(folder):
            reports.append(folder)
        elif reason := _reason(folder, files):
            reasons[folder] = reason
        subfolders[:] = [item for item in subfolders if item not in _INSIDE_A_RUN]
    return sorted(reports, key=_by_number), dict(sorted(reasons.items(), key=lambda row: _by_number(row[0])))


def _by_number(folder: Path) -> list[tuple[int, str]]:
    return [(len(part), part) for part in folder.parts]


def _reason(folder: Path, files: Sequence[str]) -> str:
    """Return why a folder has no report, or an empty string if none is to be expected in it."""
    keys: set[str] = set()
    if "config.yaml" in files:
        try:
            keys = set(_TOP_LEVEL_KEY.findall(read_text(folder / "config.yaml")))
        except (OSError, ValueError) as error:
            return f"its config.yaml cannot be read ({error})"
    if {"checkpoint", "source"} <= keys:
        return _OF_PREDICT
    if keys and "recipe" not in keys and not {"checkpoint", "data"} <= keys:
        return ""
    state, reason = _outcome(folder / OUTCOME) if OUTCOME in files else ("", "")
    if reason:
        return f"{state}: {reason}"
    return "unfinished: there is no report/report.json" if keys else ""


def _outcome(path: Path) -> tuple[str, str]:
    """Return state and reason of a sweep's job, from an untrusted file."""
    try:
        outcome = read_json(path)
        require_shape(outcome, {"state": str, "reason": str})
    except (OSError, ValueError) as error:
        return "failed", f"its {path.name} cannot be read ({error})"
    return outcome["state"], outcome["reason"]
