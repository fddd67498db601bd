"""A local head from the command line: painted tiles, training, evaluation, prediction, resume."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from crack_lightning import load
from crack_lightning.cli.main import main
from crack_lightning.data.datamodule import CrackDataModule
from crack_lightning.data.dataset import TileDataset
from crack_lightning.data.io.decoding import decode_image
from crack_lightning.data.synthesis.concrete import apply_camera, draw_wall
from crack_lightning.data.synthesis.drawn_tiles import load as drawn
from crack_lightning.data.transforms.augmentation import Augmentation
from crack_lightning.inference.maps.crack_map import CrackMapper
from crack_lightning.model.weights.checkpoints import load_trained
from crack_lightning.runtime.cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    ReadRows = Callable[[Path], list[dict[str, str]]]

DRAWN = "{source: synthetic, synthetic: {num_tiles: 120, tile_px: 64}}"
PAINTED = "{source: painted, base: walls, painted: {num_tiles: 80}}"
LOCAL = [
    "model=timm",
    "model.name=resnet10t",
    "model.head=local",
    "augmentation=standard",
    "augmentation.paint=0.3",
    "recipe=scratch",
]


@pytest.fixture(scope="module")
def local(tiny: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = tmp_path_factory.mktemp("local")
    plain = [setting for setting in tiny if not setting.startswith(("data.synthetic", "model="))]
    mixed = [
        "data=mixed",
        f"data.sources={{walls: {DRAWN}, painted: {PAINTED}}}",
        "data.test_sources=[walls]",
    ]
    assert main(["train", *plain, *mixed, *LOCAL, f"outputs={outputs}"]) == 0
    [folder] = outputs.glob("*/*_resnet10t_mixed")
    return folder


def test_a_local_head_is_trained_on_painted_and_other_tiles_and_tested(local: Path, rows: ReadRows) -> None:
    found = {(row["source"], row["split"]) for row in rows(local / "splits.csv")}
    assert found == {(s, side) for s in ("walls", "painted") for side in ("train", "val")} | {
        ("walls", "test"),
        ("painted", ""),
    }
    report = json.loads((local / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["by_source"].keys() == {"walls"}
    assert report["metrics"]["tiles"] == 18


def test_its_checkpoint_answers_as_it_was_tested(local: Path, rows: ReadRows) -> None:
    listed = rows(local / "predictions.csv")[:6]
    paths = [cache_folder() / row["path"] for row in listed]
    answers = load(local / "checkpoints" / "best.ckpt").predict(paths)
    told = [float(row["probability_crack"]) for row in listed]
    np.testing.assert_allclose(answers.probabilities[:, 1], told, atol=2e-4)


def predicted(checkpoint: str, files: list[Path], outputs: Path, *settings: str) -> Path:
    arguments = [checkpoint, *map(str, files), "map=true", f"outputs={outputs}", *settings]
    assert main(["predict", *arguments]) == 0
    [folder] = outputs.glob("*/*_predict")
    return folder


@pytest.fixture
def wall(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    Image.fromarray(apply_camera(rng, draw_wall(rng, 150, 230, light_angle=1.0))).save(tmp_path / "wall.png")
    return tmp_path / "wall.png"


def test_a_photo_is_mapped_at_its_own_size(local: Path, wall: Path, tmp_path: Path, rows: ReadRows) -> None:
    best, torn = str(local / "checkpoints" / "best.ckpt"), tmp_path / "torn.jpg"
    torn.write_bytes(b"no picture")
    folder = predicted(best, [torn, wall], tmp_path / "outputs", "scale=1")
    tiles = rows(folder / "tiles.csv")
    assert [(row["top_px"], row["left_px"]) for row in tiles][:6] == [
        ("0", str(left)) for left in (0, 48, 96, 144, 184)
    ] + [("48", "0")]
    unread, told = rows(folder / "predictions.csv")
    assert (unread["predicted"], unread["probability_crack"], bool(unread["problem"])) == ("", "", True)
    largest = max(float(row["probability_crack"]) for row in tiles)
    assert float(told["probability_crack"]) == pytest.approx(largest, abs=1e-5)
    assert decode_image(folder / "maps" / "wall.png.map.png").shape == (19, 29, 3)
    assert decode_image(folder / "maps" / "wall.png.overlay.jpg").shape == decode_image(wall).shape


def test_a_photo_is_mapped_at_the_scale_of_the_training_tiles(
    local: Path, wall: Path, tmp_path: Path, rows: ReadRows
) -> None:
    best = local / "checkpoints" / "best.ckpt"
    folder = predicted(str(best), [wall], tmp_path / "outputs")  # it learnt tiles of 64 px at 48 px
    tiles = rows(folder / "tiles.csv")
    assert [(row["top_px"], row["left_px"]) for row in tiles][:4] == [
        ("0", str(left)) for left in (0, 64, 128)
    ] + [("0", "171")]
    sizes = {(row["height_px"], row["width_px"]) for row in tiles}
    assert ("65", "65") in sizes  # 48 px at 112 of 150 px, rounded up
    assert decode_image(folder / "maps" / "wall.png.overlay.jpg").shape == decode_image(wall).shape
    assert "scale: 0.75 pixels of the network's input" in (folder / "run.log").read_text(encoding="utf-8")
    pixels = decode_image(wall)
    small = Image.fromarray(pixels).resize((172, 112), Image.Resampling.BILINEAR)
    expected = load_trained(best)
    native = CrackMapper(expected, scale=1.0).map(np.asarray(small))
    probabilities = [float(row["probability_crack"]) for row in tiles]
    np.testing.assert_allclose(probabilities, [tile.probability for tile in native.tiles], atol=2e-5)


def test_a_scale_that_leaves_nothing_of_a_photo_is_a_sentence(
    local: Path, wall: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = str(local / "checkpoints" / "best.ckpt")
    arguments = ["map=true", "scale=0.01", f"outputs={tmp_path / 'outputs'}"]
    assert main(["predict", best, str(wall), *arguments]) == 2
    assert "at scale 0.01 the photo of 230 x 150 px is 2 x 2 px" in " ".join(capsys.readouterr().err.split())


def test_a_pooled_head_has_no_map(
    tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.full((60, 60, 3), 128, np.uint8)).save(tmp_path / "wall.png")
    assert main(["train", *tiny, "model.head=pooled", f"outputs={tmp_path}"]) == 0
    [folder] = tmp_path.glob("*/*_synthetic")
    best = str(folder / "checkpoints" / "best.ckpt")
    assert main(["predict", best, str(tmp_path / "wall.png"), "map=true", f"outputs={tmp_path}"]) == 2
    assert (
        "map: expected a model with a head that scores cells, as model.head=local, got the head 'pooled'"
        in capsys.readouterr().err
    )


def test_batches_have_the_masks_of_their_tiles(tmp_path: Path) -> None:
    table = drawn(seed=0, num_tiles=20, tile_px=64, cache=tmp_path)
    unknown = np.flatnonzero(table.label == table.positive_index)[0]
    table.extra["mask"][unknown] = ""
    batch = TileDataset(table, image_size=32, masks=True).__getitems__(list(range(20)))
    cracked = batch["target"].eq(1)
    has = batch["mask"].flatten(1).any(dim=1)
    assert batch["mask"].shape == (20, 1, 32, 32)
    assert batch["mask"].dtype == torch.uint8
    assert not has[~cracked].any()
    assert has[cracked].sum() == cracked.sum() - 1
    assert batch["mask_known"].sum() == 19
    assert not batch["mask_known"][unknown]


def test_a_tile_whose_known_crack_is_out_of_view_is_intact(tmp_path: Path) -> None:
    tiles = CrackDataModule(
        drawn(seed=0, num_tiles=12, tile_px=64, cache=tmp_path),
        image_size=32,
        batch_size=3,
        num_workers=0,
        timeout_s=60,
        seed=0,
        sampler="shuffled",
        augmentation=Augmentation(scale=(4.0, 4.0)),
        mixing={},
        masks=True,
    )
    tiles.trainer = SimpleNamespace(training=True, current_epoch=0, max_epochs=1)  # type: ignore[assignment]
    masks = torch.zeros(4, 1, 32, 32, dtype=torch.uint8)
    masks[0, 0, 2], masks[1, 0, 16] = 255, 255
    batch = {
        "image": torch.zeros(4, 3, 32, 32, dtype=torch.uint8),
        "target": torch.tensor([1, 1, 1, 0]),
        "index": torch.arange(4),
        "mask": masks,
        "mask_known": torch.tensor([True, True, False, True]),
    }
    assert tiles.on_after_batch_transfer(batch, 0)["target"].tolist() == [0, 1, 1, 0]
