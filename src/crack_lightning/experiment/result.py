"""The result of a run, read from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crack_lightning.report.report_file import read_report
from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.files.untrusted_files import COUNT, NUMBER

if TYPE_CHECKING:
    from pathlib import Path

_ROW = {"precision": (NUMBER, None), "recall": (NUMBER, None), "f1": (NUMBER, None), "support": COUNT}
_REPORT = {
    "title": str,
    "verdict": str,
    "warnings": [str],
    "classes": {"*": _ROW},
    "macro": _ROW,
    "metrics": dict,
    "class_names": [str],
    "provenance": {"settings": {"trainer": {"max_epochs": (COUNT, None)}}},
}
"""Shape of the fields that the commands read of an untrusted report."""


@dataclass(frozen=True, kw_only=True)
class ExperimentResult:
    """The result of a run.

    Attributes:
        folder: The run's folder.
        report: Its ``report.md``.
        contents: Contents of its ``report.json``.
    """

    folder: Path
    report: Path
    contents: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> ExperimentResult:
        """Read the result from a run's folder.

        Raises:
            DataError: If its report is damaged.
        """
        report = folder / "report"
        try:
            contents = read_report(report / "report.json", _REPORT)
        except (OSError, ValueError) as error:
            raise DataError(
                f"resume: '{report / 'report.json'}' is damaged ({error}); start a new run."
            ) from None
        return cls(folder=folder, report=report / "report.md", contents=contents)
