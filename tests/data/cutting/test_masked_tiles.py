"""Labels, groups and masks of tiles cut from photos with masks."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.cutting import masked_tiles
from crack_lightning.runtime.errors import DataError
from tests.data.pictures import mask_rules

if TYPE_CHECKING:
    from crack_lightning.data.table import TileTable

UAV75 = Path(__file__).parents[4] / "shared" / "data" / "uav75"
PLAIN: dict[str, Any] = {"hard_negatives": [204], "mask_width": "true", "stride_px": 64}


def photo(number: int) -> Image.Image:
    rng = np.random.default_rng(number)
    return Image.fromarray(rng.integers(100, 200, (128, 192, 3), dtype=np.uint8))


def mask() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Two rows of three tiles: a wide crack, a speck, a joint; nothing, nothing, a crack beside a joint."""
    values = np.zeros((128, 192), np.uint8)
    values[30:35, 5:59] = 255
    values[30:33, 80:83] = 255
    values[10:14, 128:192] = 204
    cv2.line(values, (140, 70), (180, 120), 255, 3)
    values[100:104, 128:192] = 204
    return values


def lay(root: Path, *, images: str = "images", masks: str = "masks", suffix: str = "") -> Path:
    for number, name in enumerate(["DSC1", "DSC1b", "DSC2"]):
        for folder in (images, masks):
            (root / folder).mkdir(parents=True, exist_ok=True)
        photo(number).save(root / images / f"{name}.jpg", quality=95)
        Image.fromarray(mask()).save(root / masks / f"{name}{suffix}.png")
    return root


def test_a_mask_belongs_to_its_photo_whatever_system_wrote_their_names(tmp_path: Path) -> None:
    root = lay(tmp_path / "set")
    long = "\u00fc" * 120
    (root / "images" / "DSC1.jpg").rename(root / "images" / f"{unicodedata.normalize('NFC', long)}.jpg")
    (root / "masks" / "DSC1.png").rename(root / "masks" / f"{'u' + chr(0x308)}{long[1:]}.png")
    table = read(root, tmp_path)
    assert len(set(table.group)) == 3
    assert all((table.root / path).is_file() for path in table.path)


def test_what_is_no_photo_with_its_mask_is_counted(tmp_path: Path) -> None:
    root = lay(tmp_path / "set")
    for name in ("masks/DSC9.png", "masks/deep/DSC8.png", "more/a.jpg", "b.jpg", "masks/._DSC1.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        photo(9).save(root / name)
    assert [tuple(item) for item in read(root, tmp_path).left_out] == [
        (".", 1, "in no folder of photos or masks"),
        ("masks", 1, "a mask of no photo"),
        ("masks/deep", 1, "a mask of no photo"),
        ("more", 1, "in no folder of photos or masks"),
    ]


def read(root: Path, tmp_path: Path, *, pattern: str | None = None, **changes: Any) -> TileTable:
    return masked_tiles.load(
        root,
        rules=mask_rules(**PLAIN | changes),
        group_pattern=pattern,
        cache=tmp_path / "cache",
        show_progress=False,
    )


def test_tiles_are_labelled_by_their_own_pixels(tmp_path: Path) -> None:
    table = read(lay(tmp_path / "set"), tmp_path)
    assert table.class_names == ("intact", "crack")
    places = [str(path).partition("_")[2] for path in table.path[:5]]
    assert places == ["DSC1_0_0.png", "DSC1_0_128.png", "DSC1_64_0.png", "DSC1_64_64.png", "DSC1_64_128.png"]
    assert table.label[:5].tolist() == [1, 0, 0, 0, 1]
    assert table.extra["distractors"][:5].tolist() == ["", "mask value 204", "", "", "mask value 204"]
    assert len(table) == 15


def test_pixels_and_masks_are_those_of_the_photo(tmp_path: Path) -> None:
    root = lay(tmp_path / "set")
    table = read(root, tmp_path)
    whole = np.asarray(Image.open(root / "images" / "DSC1.jpg").convert("RGB"))
    for row, (top, left) in [(0, (0, 0)), (4, (64, 128))]:
        window = np.s_[top : top + 64, left : left + 64]
        tile = np.asarray(Image.open(table.root / str(table.path[row])))
        assert np.array_equal(tile, whole[window])
        crack = np.asarray(Image.open(table.root / str(table.extra["mask"][row])))
        assert np.array_equal(crack == 255, mask()[window] == 255)


def test_widths_are_known_where_masks_are_as_wide_as_cracks(tmp_path: Path) -> None:
    root = lay(tmp_path / "set")
    width = read(root, tmp_path).extra["crack_width_px"].astype(float)
    assert width[0] == pytest.approx(5, abs=1)
    assert np.isnan(width[1])
    assert np.isnan(read(root, tmp_path, mask_width="line").extra["crack_width_px"].astype(float)).all()


def test_a_photo_is_a_group_and_a_pattern_joins_files_of_one(tmp_path: Path) -> None:
    root = lay(tmp_path / "set")
    assert set(read(root, tmp_path).group) == {"images/DSC1.jpg", "images/DSC1b.jpg", "images/DSC2.jpg"}
    assert set(read(root, tmp_path, pattern=r"(DSC\d)").group) == {"DSC1", "DSC2"}


@pytest.mark.parametrize(
    ("images", "masks", "suffix"),
    [("train_img", "train_lab", ""), ("all", "all", "_mask"), ("all", "all", "")],
)
def test_layouts_of_other_sets_are_read_by_options(
    images: str, masks: str, suffix: str, tmp_path: Path
) -> None:
    root = lay(tmp_path / "set", images=images, masks=masks, suffix=suffix)
    table = read(root, tmp_path, images=[images], masks=[masks], mask_suffix=suffix)
    assert len(table) == 15


def test_several_folders_and_a_stride_add_up(tmp_path: Path) -> None:
    root = lay(lay(tmp_path / "set", images="a", masks="b"), images="c", masks="d")
    table = read(root, tmp_path, images=["a", "c"], masks=["b", "d"])
    assert len(table) == 30
    assert len(read(root, tmp_path, images=["a", "c"], masks=["b", "d"], stride_px=32)) > 60


def test_the_same_photos_are_cut_once_and_other_rules_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = lay(tmp_path / "set")
    first = read(root, tmp_path)
    monkeypatch.setattr(masked_tiles, "cut_photo", lambda *_, **__: pytest.fail("cut again"))
    again = read(root, tmp_path)
    assert np.array_equal(first.sha256, again.sha256)
    with pytest.raises(BaseException, match="cut again"):
        read(root, tmp_path, least_crack_px=1)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    root = lay(tmp_path / "set")
    with pytest.raises(DataError, match=r"of 18 tiles .* 0 are cracked.* values are 0 \(.*, 255 \(.*, 204"):
        read(root, tmp_path, crack_values=[7])
    with pytest.raises(DataError, match=r"data\.masked\.images: .*pictures', which does not exist"):
        read(root, tmp_path, images=["pictures"])
    with pytest.raises(DataError, match=r"each of the 2 of data\.masked\.images, got 1"):
        read(root, tmp_path, images=["images", "more"])
    Image.fromarray(mask()[:64]).save(root / "masks" / "DSC2.png")
    with pytest.raises(DataError, match=r"'.*DSC2\.png' is 192 x 64 pixels and its photo 192 x 128"):
        read(root, tmp_path)
    (root / "masks" / "DSC2.png").unlink()
    with pytest.raises(
        DataError,
        match=r"1 photos have no mask \('images/DSC2\.jpg'\); .* name with one of \.png.*mask_suffix\.$",
    ):
        read(root, tmp_path)


def test_masks_are_found_whatever_the_case_of_their_suffix(tmp_path: Path) -> None:
    root = lay(tmp_path / "set")
    for path in (root / "masks").iterdir():
        path.rename(path.with_suffix(".PNG"))
    assert len(read(root, tmp_path)) == 15


def test_what_is_left_out_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = lay(tmp_path / "set")
    photo(9).resize((40, 200)).save(root / "images" / "thin.jpg")
    Image.new("L", (40, 200)).save(root / "masks" / "thin.png")
    caplog.set_level("INFO")
    for _ in ("cut", "from the cache"):
        table = read(root, tmp_path)
        assert len(table) == 15
        assert [(item.folder, item.files, item.reason.split(",")[0]) for item in table.left_out] == [
            ("images", 1, "smaller than a tile")
        ]
    assert "1 photos were too small, 3 tiles had too little crack" in caplog.text


def test_a_photo_that_cannot_be_read_is_named_with_what_helps(tmp_path: Path) -> None:
    root = lay(tmp_path / "set")
    (root / "images" / "DSC2.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"data\.masked\.images: .*DSC2\.jpg': an empty file\. Repair"):
        read(root, tmp_path)


@pytest.mark.skipif(not UAV75.is_dir(), reason="the uav75 photos are not beside the project")
def test_uav75_gives_the_tiles_that_its_readme_counts(tmp_path: Path) -> None:
    table = read(UAV75, tmp_path, tile_px=256, stride_px=256, least_crack_px=60, pattern=r"(DSC\d+)")
    assert len(table) == 182
    assert "mask value 204" in set(table.extra["distractors"].tolist())
