"""The experiment of transfer on drawn walls: one command, one table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from crack_lightning.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    ReadRows = Callable[[Path], list[dict[str, str]]]

DRAWN = "{num_tiles: 80, tile_px: 64}"
WALLS = [
    *(f"data.sources.{name}.source=synthetic" for name in ("metu", "uav75")),
    *(f"data.sources.{name}.root=null" for name in ("metu", "uav75")),
    *(f"+data.sources.{name}.synthetic={DRAWN}" for name in ("metu", "uav75")),
    *("+data.sources.uav75.seed=1", "data.sources.uav75.group_pattern=null"),
    "+data.sources.painted.painted={num_tiles: 60}",
]
SMALL = [
    *("model=timm", "model.name=resnet10t", "model.weights=none", "model.image_size=48", "recipe=scratch"),
    *("data.batch_size=8", "trainer=smoke", "trainer.max_epochs=1", "model.head=local"),
    *("callbacks=none", "logger=none", "sweep.jobs=2", "progress=false"),
]


@pytest.mark.slow
def test_one_command_gives_a_table_of_training_by_tested_source(
    tmp_path: Path, rows: ReadRows, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "experiment=transfer", *WALLS, *SMALL, f"outputs={tmp_path}"]) == 0
    [sweep] = tmp_path.glob("multirun/*/*")
    table = rows(sweep / "comparison_by_source.csv")
    assert sorted((row["trained_on"], row["tested_on"]) for row in table) == [
        (trained, tested) for trained in ("metu", "metu + painted", "painted") for tested in ("metu", "uav75")
    ]
    told = {run: rows(sweep / run / "predictions.csv") for run in {row["run"] for row in table}}
    assert len({tuple(row["path"] for row in found) for found in told.values()}) == 1
    far = {row["path"] for row in rows(sweep / "0" / "splits.csv") if row["source"] == "uav75"}
    for row in table:
        there = row["tested_on"] == "uav75"
        of_source = [tile for tile in told[row["run"]] if (tile["path"] in far) == there]
        label = [tile["label"] == "crack" for tile in of_source]
        score = [float(tile["probability_crack"]) for tile in of_source]
        called = [tile["predicted"] == "crack" for tile in of_source]
        assert int(row["tiles"]) == len(of_source)
        assert float(row["auroc"]) == pytest.approx(roc_auc_score(label, score))
        assert float(row["balanced_accuracy"]) == pytest.approx(balanced_accuracy_score(label, called))
        assert float(row["auroc_low"]) <= float(row["auroc"]) <= float(row["auroc_high"])
    assert "Metrics by test source" in capfd.readouterr().out
    page = (sweep / "comparison.html").read_text(encoding="utf-8")
    assert "<td>metu + painted</td>" in page
    assert "uav75: AUROC" in page
    report = json.loads((sweep / "0" / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["intervals_by_source"].keys() == {"metu", "uav75"}


def test_its_folders_are_asked_for_before_anything_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["data.sources.metu.root=a (b)", f"outputs={tmp_path}"]
    assert main(["train", "experiment=transfer", *own]) == 2
    assert "data.sources.uav75.root: expected a value, got none" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
