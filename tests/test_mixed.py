"""Several sources from the command line to a report that tells them apart."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

from crack_lightning.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

DRAWN = "{source: synthetic, seed: %d, synthetic: {num_tiles: 120, tile_px: 64}}"
SOURCES = f"data.sources={{near: {DRAWN % 1}, far: {DRAWN % 2}}}"


@pytest.mark.parametrize("sides", [[], ["data.train_sources=[near]", "data.test_sources=[far]"]])
def test_a_mixture_is_trained_and_each_source_reported(
    sides: list[str], tiny: list[str], tmp_path: Path
) -> None:
    plain = [setting for setting in tiny if not setting.startswith("data.synthetic")]
    settings = [*plain, "data=mixed", SOURCES, *sides, "data.mix=equal", f"outputs={tmp_path}"]
    assert main(["train", *settings]) == 0
    [folder] = tmp_path.glob("*/*_mobilenetv3_small_mixed")
    report = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    with (folder / "splits.csv").open(encoding="utf-8", newline="") as file:
        found = {(row["source"], row["split"]) for row in csv.DictReader(file)}
    if sides:
        assert found == {("near", "train"), ("near", "val"), ("far", "test")}
        assert report["by_source"].keys() == {"far"}
        assert report["by_source"]["far"]["tiles"] == 120
    else:
        assert len(found) == 6
        assert report["by_source"].keys() == {"near", "far"}
        assert sum(row["tiles"] for row in report["by_source"].values()) == report["metrics"]["tiles"]
    assert "## Metrics by source" in (folder / "report" / "report.md").read_text(encoding="utf-8")
    assert report["near_duplicates"]["leaked_pairs"] == 0


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{source: metu}", "data.sources.far.root"),
        ("{source: image_folder, root: nowhere}", "data.sources.far.root: 'nowhere' "),
        ("{source: image_folder, root: empty}", "data.sources.far.root: no images under 'empty'"),
    ],
)
def test_a_source_of_a_mixture_that_has_no_tiles_is_named_with_its_key(
    source: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    sources = f"data.sources={{near: {DRAWN % 1}, far: {source}}}"
    assert main(["train", "data=mixed", sources, "trainer=smoke", "progress=false"]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "data.root" not in told
