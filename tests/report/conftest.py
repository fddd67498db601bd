from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.table import TileTable
from crack_lightning.evaluation.predictions import Predictions
from crack_lightning.report.contents import report_contents
from crack_lightning.report.inputs import ReportTiles
from crack_lightning.report.render.tables import write_predictions

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

NAMES = ("crack", "intact", "spall", "rust")


@pytest.fixture(scope="session")
def draw_run() -> Callable[..., tuple[TileTable, Predictions]]:
    """Draw the table and the predictions of a run."""
    return _draw_run


@pytest.fixture(scope="session")
def contents_of() -> Callable[..., dict[str, Any]]:
    """Compute the contents of the report of a drawn run."""

    def compute(table: TileTable, predictions: Predictions, **changes: Any) -> dict[str, Any]:
        settings: dict[str, Any] = {"title": "a run", "history": [], "provenance": {}, "threshold": 0.5}
        return report_contents(table=table, predictions=predictions, **settings | changes)

    return compute


def _draw_run(
    *, num_classes: int = 2, positive: str | None = "crack", tiles: int = 300, absent: int | None = None
) -> tuple[TileTable, Predictions]:
    rng = np.random.default_rng(5)
    label = rng.integers(num_classes, size=tiles)
    if absent is not None:
        label[label == absent] = (absent + 1) % num_classes
    photo = np.arange(tiles) // 10
    table = TileTable(
        root=Path("tiles"),
        class_names=NAMES[:num_classes],
        positive_class=positive,
        path=np.array([f"photo_{number}/{tile}.jpg" for tile, number in enumerate(photo)]),
        label=label,
        group=np.array([f"photo_{number}" for number in photo]),
        source=np.full(tiles, "synthetic"),
        split=np.array(["train", "val", "test", "test"])[photo % 4],
        sha256=np.full(tiles, ""),
        extra={
            "crack_width_px": np.where(label == 0, rng.uniform(0.5, 9.0, tiles), np.nan),
            "distractors": np.array(["", "joint", "joint+stain"])[rng.integers(3, size=tiles)],
        },
    )
    rows = table.rows("test")
    return table, Predictions(index=rows, label=label[rows], probability=_drawn(label[rows], num_classes))


def _drawn(label: NDArray[np.int64], num_classes: int) -> NDArray[np.float32]:
    logits = np.random.default_rng(6).normal(size=(len(label), num_classes))
    logits[np.arange(len(label)), label] += 1.5
    odds = np.exp(logits)
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture
def predictions_text(tmp_path: Path) -> Callable[..., str]:
    """Return the text of ``predictions.csv``."""

    def text(predictions: Predictions, table: TileTable) -> str:
        write_predictions(tmp_path / "predictions.csv", predictions, table)
        return (tmp_path / "predictions.csv").read_text(encoding="utf-8")

    return text


@pytest.fixture(scope="session")
def report_tiles() -> ReportTiles:
    pictures = np.random.default_rng(7).integers(256, size=(10, 3, 24, 24), dtype=np.uint8)
    return ReportTiles(
        example_image=pictures[:6], example_label=np.array([0, 1] * 3), augmented_image=pictures
    )


@pytest.fixture(scope="session")
def history() -> list[dict[str, float]]:
    return [
        {"epoch": 0, "train/loss": 0.7, "train/accuracy": 0.6, "val/loss": 0.6, "val/accuracy": 0.7},
        {"epoch": 1, "train/loss": 0.5, "train/accuracy": 0.8, "val/loss": float("nan"), "val/accuracy": 0.8},
        {"epoch": 2, "train/loss": 0.3, "train/accuracy": 0.9},
    ]


@pytest.fixture
def provenance() -> dict[str, Any]:
    return {
        "command": "python -m crack_lightning.train model=plain_cnn",
        "model": {"name": "plain_cnn", "parameters": 12_345},
        "best_epoch": 1,
        "excluded_files": [{"path": "bad|tile.jpg", "reason": "cut off after 12 bytes"}],
        "settings": {"optimizer": {"lr": 0.001, "betas": [0.9, 0.999]}, "seed": 0},
        "timing": {"seconds": {"training": 12.34, "test": 0.5}},
        "created": "2026-01-02T03:04:05+00:00",
    }


@pytest.fixture
def render_figure() -> Callable[[Figure], NDArray[np.uint8]]:
    """Render a figure as uint8 RGB ``(H, W, 3)``."""

    def render(figure: Figure) -> NDArray[np.uint8]:
        png = io.BytesIO()
        figure.savefig(png, format="png")
        return np.asarray(Image.open(png).convert("RGB"))

    return render
