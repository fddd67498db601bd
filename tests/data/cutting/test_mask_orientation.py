"""Masks match their photos whatever the EXIF orientation, the size and the format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.cutting import masked_tiles
from crack_lightning.runtime.errors import DataError
from tests.data.pictures import exif, mask_rules

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable

HEIGHT, WIDTH = 128, 192


def read(root: Path, **changes: Any) -> TileTable:
    return masked_tiles.load(
        root,
        rules=mask_rules(**changes),
        group_pattern=None,
        cache=root / "cache",
        show_progress=False,
    )


def stored(*, height: int = HEIGHT, width: int = WIDTH) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A photo with a dark crack near its top left corner, and its mask, both as stored."""
    grey = np.random.default_rng(0).integers(150, 180, (height, width), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[10:14, 5:60] = 255
    grey[mask > 0] = 20
    return grey, mask


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn as the EXIF specification says, by Pillow's own moves."""
    moves = Image.Transpose
    move = {
        2: moves.FLIP_LEFT_RIGHT,
        3: moves.ROTATE_180,
        4: moves.FLIP_TOP_BOTTOM,
        5: moves.TRANSPOSE,
        6: moves.ROTATE_270,
        7: moves.TRANSVERSE,
        8: moves.ROTATE_90,
    }[orientation]
    return np.asarray(Image.fromarray(pixels).transpose(move))


def lay(root: Path, name: str, orientation: int, *, mask: NDArray[np.uint8], **size: int) -> None:
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    photo = Image.fromarray(stored(**size)[0]).convert("RGB")
    photo.save(root / "images" / f"{name}.jpg", quality=95, exif=exif(orientation))
    Image.fromarray(mask).save(root / "masks" / f"{name}.png")


def assert_crack_is_dark(table: TileTable) -> None:
    """Check by the pixels alone that masks lie where the photo is dark."""
    cracked = np.flatnonzero(table.label == table.positive_index)
    assert len(cracked)
    for row in cracked:
        crack = np.asarray(Image.open(table.root / str(table.extra["mask"][row]))) > 0
        tile = np.asarray(Image.open(table.root / str(table.path[row])).convert("L"))
        assert tile[crack].max() < 90
        assert tile[~crack].mean() > 120


@pytest.mark.parametrize("drawn_on", ["stored", "turned"])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_lies_on_its_photo_by_the_size_that_it_was_drawn_at(
    orientation: int, drawn_on: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mask = stored()[1]
    lay(tmp_path, "a", orientation, mask=mask if drawn_on == "stored" else upright(mask, orientation))
    assert_crack_is_dark(read(tmp_path))
    counts = "0 of their masks" if drawn_on == "stored" else "1 of their masks"
    assert f"EXIF turns 1 photos; {counts} are taken as drawn on the turned photo" in caplog.text
    caplog.clear()
    read(tmp_path)  # from the cache
    assert "EXIF turns 1 photos" in caplog.text


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_where_sizes_say_nothing_a_key_or_the_other_masks_decide_and_nothing_is_guessed(
    orientation: int, tmp_path: Path
) -> None:
    mask = stored()[1]
    lay(tmp_path / "set", "a", orientation, mask=mask)
    with pytest.raises(DataError, match=r"data\.masked\.exif: EXIF turns 1 photos .*exif=ignored"):
        read(tmp_path / "set")
    assert_crack_is_dark(read(tmp_path / "set", exif="ignored"))
    with pytest.raises(AssertionError):
        assert_crack_is_dark(read(tmp_path / "set", exif="applied"))
    lay(tmp_path / "set", "b", 6, mask=mask)
    assert_crack_is_dark(read(tmp_path / "set"))
    lay(tmp_path / "other", "a", orientation, mask=upright(mask, orientation))
    assert_crack_is_dark(read(tmp_path / "other", exif="applied"))
    lay(tmp_path / "other", "b", 8, mask=upright(mask, 8))
    assert_crack_is_dark(read(tmp_path / "other"))


def test_a_square_photo_on_its_side_is_as_uncertain_as_one_upside_down(tmp_path: Path) -> None:
    size = {"height": 128, "width": 128}
    lay(tmp_path, "a", 6, mask=stored(**size)[1], **size)
    with pytest.raises(DataError, match=r"data\.masked\.exif: EXIF turns 1 photos"):
        read(tmp_path)
    assert_crack_is_dark(read(tmp_path, exif="ignored"))


def test_a_mask_with_an_orientation_of_its_own_is_turned_by_that(tmp_path: Path) -> None:
    mask = stored()[1]
    lay(tmp_path, "a", 3, mask=mask)
    Image.fromarray(mask).save(tmp_path / "masks" / "a.png", exif=exif(3))
    assert_crack_is_dark(read(tmp_path))


@pytest.mark.parametrize(
    ("height", "width", "tiles"), [(128, 192, 6), (129, 192, 9), (150, 250, 12), (64, 129, 3)]
)
def test_every_pixel_of_a_photo_is_in_a_tile(height: int, width: int, tiles: int, tmp_path: Path) -> None:
    mask = np.zeros((height, width), np.uint8)
    mask[-2:, -40:] = 255
    lay(tmp_path, "a", 1, mask=mask, height=height, width=width)
    table = read(tmp_path)
    assert len(table) == tiles
    covered = np.zeros((height, width), bool)
    for path in table.path.tolist():
        top, left = (int(part) for part in path.removesuffix(".png").split("_")[-2:])
        covered[top : top + 64, left : left + 64] = True
    assert covered.all()
    assert table.label.max() == 1


def test_values_that_were_not_declared_are_named_with_their_pixels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mask = stored()[1]
    mask[100:104, :50] = 204
    mask[110, :7] = 3
    lay(tmp_path, "a", 1, mask=mask)
    read(tmp_path)
    assert (
        "2 values of the masks are not declared and taken for no crack: 204 (200 pixels), 3 (7" in caplog.text
    )
    caplog.clear()
    read(tmp_path, hard_negatives=[204, 3])
    read(tmp_path, crack_from=3)
    assert "not declared" not in caplog.text


def test_masks_as_jpeg_give_the_tiles_of_masks_as_png(tmp_path: Path) -> None:
    grey, mask = stored()
    for kind in ("png", "jpg"):
        for folder in ("images", "masks"):
            (tmp_path / kind / folder).mkdir(parents=True)
        Image.fromarray(grey).convert("RGB").save(tmp_path / kind / "images" / "a.jpg", quality=95)
        Image.fromarray(mask).save(tmp_path / kind / "masks" / f"a.{kind}")
    exact, lossy = (read(tmp_path / kind, least_crack_px=150) for kind in ("png", "jpg"))
    assert lossy.sha256.tolist() == exact.sha256.tolist()
    assert lossy.label.tolist() == exact.label.tolist()
    for one, other in zip(exact.extra["mask"], lossy.extra["mask"], strict=True):
        both = [
            np.asarray(Image.open(table.root / str(path))) for table, path in ((exact, one), (lossy, other))
        ]
        assert (both[0] != both[1]).mean() < 0.002
