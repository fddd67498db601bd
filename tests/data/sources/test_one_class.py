"""A set to test a model on may hold one of its classes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.config.nodes.data import data_config
from crack_lightning.data.cutting import masked_tiles
from crack_lightning.data.io.masks import MaskRules
from crack_lightning.data.model_classes import ModelClasses
from crack_lightning.data.sources import image_folder, metu, sdnet2018
from crack_lightning.experiment.load_data import load_tiles
from crack_lightning.runtime.errors import DataError
from tests.data.pictures import write_images

if TYPE_CHECKING:
    from pathlib import Path

MODEL = ModelClasses(["intact", "crack"], "crack")


def names_of(root: Path, **changes: Any) -> list[str]:
    config = data_config(source="image_folder", root=str(root), **changes)
    table, _ = load_tiles(config, threads=1, progress=False, model=MODEL)
    assert (table.class_names, table.positive_class) == (("intact", "crack"), "crack")
    return [table.class_names[label] for label in table.label]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("crack", "crack"),
        ("Cracked", "crack"),
        ("Positive", "crack"),
        ("CD", "crack"),
        ("intact", "intact"),
        ("Non-Crack", "intact"),
        ("UW", "intact"),
    ],
)
def test_one_class_folder_is_the_models_class_of_that_name(folder: str, name: str, tmp_path: Path) -> None:
    root = write_images(tmp_path / "set", f"{folder}/a.png", f"{folder}/site/b.png")
    assert names_of(root) == [name, name]
    assert names_of(root / folder) == [name, name]


def test_a_mapping_of_both_classes_serves_a_set_of_one(tmp_path: Path) -> None:
    root = write_images(tmp_path, "A/a.png")
    assert names_of(root, class_names={"A": "crack", "B": "intact"}) == ["crack"]


def test_a_folder_that_names_no_class_of_the_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the model's classes are intact, crack, and the set has wall"):
        names_of(write_images(tmp_path, "wall/a.png"))


def test_the_classes_of_a_model_may_have_names_of_their_own(tmp_path: Path) -> None:
    config = data_config(source="image_folder", root=str(write_images(tmp_path, "SPALL/a.png")))
    model = ModelClasses(["sound", "spall", "rust"], "spall")
    table, _ = load_tiles(config, threads=1, progress=False, model=model)
    assert (table.label.tolist(), table.positive_class) == ([1], "spall")


def test_parts_of_mixed_data_may_hold_a_class_each(tmp_path: Path) -> None:
    write_images(tmp_path, "one/cracked/a.png", "other/uncracked/b.png", "other/uncracked/c.png")
    parts = {name: {"source": "image_folder", "root": str(tmp_path / name)} for name in ("one", "other")}
    table, _ = load_tiles(data_config(source="mixed", sources=parts), threads=1, progress=False, model=MODEL)
    assert table.label.tolist() == [1, 0, 0]


def test_the_published_layouts_may_lack_a_class(tmp_path: Path) -> None:
    assert metu.load(write_images(tmp_path / "m", "Positive/1.jpg"), one_class=True).label.tolist() == [1]
    assert sdnet2018.load(write_images(tmp_path / "s", "D/UD/7001-1.jpg"), one_class=True).label.tolist() == [
        0
    ]


def masked(tmp_path: Path, value: int, *, one_class: bool) -> list[int]:
    for folder, grey in (("images", 120), ("masks", value)):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((64, 64), grey, np.uint8)).convert("L").save(tmp_path / folder / "a.png")
    rules = MaskRules(hard_negatives=[204], tile_px=32, least_crack_px=1)
    table = masked_tiles.load(
        tmp_path, rules=rules, group_pattern=None, cache=tmp_path / "cache", show_progress=False,
        one_class=one_class,
    )  # fmt: skip
    return list(table.label.tolist())


@pytest.mark.parametrize(("value", "label"), [(255, 1), (0, 0), (204, 0)])
def test_photos_with_masks_may_be_all_cracked_or_all_intact(value: int, label: int, tmp_path: Path) -> None:
    assert masked(tmp_path, value, one_class=True) == [label] * 4
    with pytest.raises(DataError, match="both classes are needed"):
        masked(tmp_path, value, one_class=False)


def test_mask_values_that_mean_nothing_are_refused_all_the_same(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the masks' values are 7 \(4,096\)"):
        masked(tmp_path, 7, one_class=True)


def test_training_needs_two_classes_still(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="images of one class only"):
        image_folder.load(
            write_images(tmp_path, "crack/a.png"),
            class_names=None,
            positive_class="crack",
            group_pattern=None,
        )
