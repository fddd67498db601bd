"""The head, the scale and the weights that the factory chooses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from crack_lightning.config.nodes.augmentation import AugmentationConfig
from crack_lightning.config.nodes.model import ModelConfig
from crack_lightning.config.nodes.recipe import RecipeConfig
from crack_lightning.config.nodes.train import TrainConfig
from crack_lightning.data.table import TileTable
from crack_lightning.experiment.factory import build_classifier, suitable_head, train_scale

MASKED = TileTable(
    root=Path(),
    class_names=("intact", "crack"),
    positive_class="crack",
    path=np.array(["a", "b", "c"]),
    label=np.array([0, 1, 1]),
    group=np.array(["", "", ""]),
    source=np.array(["s", "s", "s"]),
    split=np.array(["train", "train", "test"]),
    sha256=np.array(["", "", ""]),
    extra={"mask": np.array(["", "b.png", "c.png"])},
)
PLAIN = replace(MASKED, extra={})


@pytest.mark.parametrize(
    ("table", "settings", "head"),
    [
        (MASKED, {}, "local"),
        (PLAIN, {}, "pooled"),
        (PLAIN, {"augmentation": AugmentationConfig(paint=0.5)}, "local"),
        (replace(MASKED, split=np.array(["train", "test", "test"])), {}, "pooled"),
        (replace(MASKED, positive_class=None), {}, "pooled"),
        (replace(MASKED, class_names=("intact", "crack", "spalling")), {}, "pooled"),
        (MASKED, {"recipe": RecipeConfig(name="probe")}, "pooled"),
        (MASKED, {"augmentation": AugmentationConfig(mixup_alpha=0.2)}, "pooled"),
        (MASKED, {"model": ModelConfig(name="vit_tiny_patch16_224", image_size=224)}, "pooled"),
        (MASKED, {"model": ModelConfig(name="plain_cnn")}, "pooled"),
        (MASKED, {"model": ModelConfig(head="pooled")}, "pooled"),
        (PLAIN, {"model": ModelConfig(head="local")}, "local"),
    ],
)
def test_the_head_is_local_where_tiles_have_masks_unless_one_is_set(
    table: TileTable, settings: dict[str, Any], head: str
) -> None:
    assert suitable_head(TrainConfig(**settings), table) == head


def test_the_scale_of_training_is_that_of_the_median_training_tile(tmp_path: Path) -> None:
    sizes = [(100, 100), (200, 50), (227, 227), (400, 900), (3, 4)]
    for number, size in enumerate(sizes):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    table = replace(
        PLAIN.select(np.zeros(5, np.int64)),
        root=tmp_path,
        path=np.array([f"{number}.png" for number in range(5)]),
        split=np.array(["train"] * 4 + ["test"]),
    )
    assert train_scale(table, image_size=96) == pytest.approx(96 / 163.5)  # of 100, 100, 227 and 600
    (tmp_path / "2.png").unlink()
    assert train_scale(table, image_size=96) == pytest.approx(0.96)
    assert train_scale(table.select(table.split == "test"), image_size=96) is None
    assert train_scale(replace(table, root=tmp_path / "gone"), image_size=96) is None


def test_a_backbone_that_is_random_in_part_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = TrainConfig(model=ModelConfig(name="resnet10t", head="pooled"))
    weights = build_classifier(config, PLAIN).backbone.state_dict()
    config.model.weights = str(tmp_path / "w.pth")
    torch.save(weights, tmp_path / "w.pth")
    assert build_classifier(config, PLAIN).weights_caution is None
    del weights["layer1.0.bn1.weight"]
    torch.save(weights, tmp_path / "w.pth")
    assert build_classifier(config, PLAIN).weights_caution is not None
    [record] = [record for record in caplog.records if "at random: layer1.0.bn1.weight" in record.message]
    assert record.levelname == "WARNING"
