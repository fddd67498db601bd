"""Metrics in the folder of a sweep's job, an untrusted folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.files.untrusted_files import NUMBER, read_json, require_shape

if TYPE_CHECKING:
    from pathlib import Path


def read_metrics(folder: Path) -> dict[str, float]:
    """Return the test metrics of a job's report; undefined ones may be ``None``.

    Raises:
        DataError: If the report is damaged.
    """
    metrics: dict[str, float] = _read(folder / "report" / "report.json", {"metrics": {"*": (NUMBER, None)}})[
        "metrics"
    ]
    return metrics


def read_validation(folder: Path) -> dict[str, float]:
    """Return the validation metrics of a finished job, and its total ``seconds``.

    Raises:
        DataError: If its state is damaged.
    """
    figures = {"val/accuracy": NUMBER, "val/loss": NUMBER}
    state = _read(folder / "state.json", {"validation": figures, "seconds": ({"*": NUMBER}, None)})
    return {**state["validation"], "seconds": float(sum((state.get("seconds") or {}).values()))}


def _read(path: Path, shape: dict[str, Any]) -> dict[str, Any]:
    try:
        contents = read_json(path)
        require_shape(contents, shape)
    except (OSError, ValueError) as error:
        raise DataError(
            f"sweep: '{path}' is damaged ({error}); start a new sweep, or get the folder again."
        ) from None
    return contents
