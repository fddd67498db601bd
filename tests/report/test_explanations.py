"""Explanations of test tiles."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from crack_lightning.report.explanations import MOST_MEASURED, _spread, explain_test_tiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crack_lightning.data.table import TileTable
    from crack_lightning.evaluation.predictions import Predictions
    from crack_lightning.model.classifier import CrackClassifier

    Build = Callable[[str], CrackClassifier]


@pytest.fixture
def classifier(build_classifier: Callable[..., CrackClassifier]) -> Build:
    """Build a classifier with the classes of the drawn run."""
    return lambda name: build_classifier(name=name, class_names=["crack", "intact"]).eval()


@pytest.fixture
def tested(tmp_path: Path, draw_run: Callable[..., Any]) -> tuple[TileTable, Predictions]:
    """Tiles on disk, with a mask where they are cracked."""
    table, predictions = draw_run(tiles=80)
    masks = np.where(table.label == 0, np.char.add(table.path, ".png"), "")
    rng = np.random.default_rng(0)
    for path, mask in zip(table.path, masks, strict=True):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / path), rng.integers(256, size=(60, 60, 3), dtype=np.uint8))
        if mask:
            cv2.imwrite(str(tmp_path / mask), np.eye(60, dtype=np.uint8) * 255)
    return replace(table, root=tmp_path, extra={"mask": masks}), predictions


def test_errors_come_worst_first_and_every_shown_tile_has_its_map(
    tested: tuple[TileTable, Predictions], classifier: Build
) -> None:
    table, predictions = tested
    found = explain_test_tiles(classifier("mobilenetv3_small_100"), table, predictions, threshold=0.5)
    assert found is not None
    missed = found.shown["Missed crack tiles"]
    wrong = (predictions.label == 0) & (predictions.probability[:, 0] < 0.5)
    assert missed[0]["probability"] == pytest.approx(predictions.probability[wrong, 1].max())
    assert {tile["path"] for tiles in found.shown.values() for tile in tiles} == found.maps.keys()
    assert found.localisation is not None
    assert found.localisation["tiles"] == (predictions.label == 0).sum()
    assert found.localisation["by_lines"] is None


def test_a_set_without_cracks_has_no_explanations(
    tested: tuple[TileTable, Predictions], classifier: Build
) -> None:
    table, predictions = tested
    rows = predictions.label == 1
    right = np.tile(np.array([[0.1, 0.9]], np.float32), (rows.sum(), 1))
    intact = replace(predictions.select(rows), probability=right)
    found = explain_test_tiles(classifier("mobilenetv3_small_100"), table, intact, threshold=0.5)
    assert found is not None
    assert (found.shown, found.maps, found.localisation) == ({}, {}, None)


def test_a_network_without_maps_leaves_the_report_without_them(
    tested: tuple[TileTable, Predictions], classifier: Build, caplog: pytest.LogCaptureFixture
) -> None:
    assert explain_test_tiles(classifier("test_vit"), *tested, threshold=0.5) is None
    assert "explain: the network 'test_vit' has no map" in caplog.text


def test_a_bounded_number_of_tiles_is_measured() -> None:
    taken = _spread(np.arange(10_000), MOST_MEASURED)
    assert len(set(taken.tolist())) == MOST_MEASURED
    assert set(np.diff(taken).tolist()) <= {33, 34}
    assert _spread(np.arange(7), MOST_MEASURED).tolist() == list(range(7))
