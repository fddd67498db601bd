"""Near-duplicates are found whatever was done to them, and nothing else is."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import torch

from crack_lightning.data.grouping.near_duplicates import near_duplicate_pairs, preview
from crack_lightning.data.synthesis.scene import cut_tiles, draw_photo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

METU = Path(__file__).parents[4] / "shared" / "data" / "metu"


@pytest.fixture(scope="module")
def tiles() -> list[Image]:
    """A cracked and an intact tile of each of 60 drawn photos, where there are both, at METU's size."""
    found: list[Image] = []
    for photo in range(60):
        drawn = draw_photo(np.random.default_rng([5, photo]), 454, 454)
        of_class = {tile.cracked: tile.jpeg for tile in cut_tiles(drawn, tile_px=227)}
        found += [decoded(np.frombuffer(data, np.uint8)) for data in of_class.values()]
    return found


def decoded(data: Any) -> Image:
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    assert image is not None
    return np.asarray(image, np.uint8)


def altered(image: Image, *, scale: float, shift: float, gain: float, quality: int) -> Image:
    """Scale about the middle, move, brighten and save again, as near-duplicates on the web come about."""
    middle = (image.shape[0] - 1) / 2
    offset = shift + middle * (1 - scale)
    matrix = np.array([[scale, 0, offset], [0, scale, -shift + middle * (1 - scale)]])
    moved = cv2.warpAffine(image, matrix, image.shape[:2], borderMode=cv2.BORDER_REFLECT)
    bright = np.clip(moved * gain, 0, 255).astype(np.uint8)
    saved = cv2.imencode(".jpg", cv2.cvtColor(bright, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return decoded(saved[1])


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 1.0, "shift": 0.0, "gain": 1.0, "quality": 60},
        {"scale": 1.0, "shift": 0.0, "gain": 1.08, "quality": 90},
        {"scale": 1.0, "shift": 2.0, "gain": 0.92, "quality": 90},
        {"scale": 0.97, "shift": 0.0, "gain": 1.0, "quality": 90},
        {"scale": 1.03, "shift": 2.0, "gain": 1.08, "quality": 60},
    ],
)
def test_a_tile_is_found_again_however_it_was_saved(tiles: list[Image], change: dict[str, Any]) -> None:
    again = [altered(tile, **change) for tile in tiles]
    found = near_duplicate_pairs(np.stack([preview(tile) for tile in [*tiles, *again]]))
    wanted = {(row, row + len(tiles)) for row in range(len(tiles))}
    assert len(wanted - {(int(a), int(b)) for a, b in found}) <= 0.02 * len(tiles)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_a_tile_is_found_again_mirrored_and_turned(
    tiles: list[Image], quarters: int, *, mirrored: bool
) -> None:
    some = tiles[:40]
    turned = [np.rot90(tile[:, ::-1] if mirrored else tile, quarters) for tile in some]
    again = [altered(np.ascontiguousarray(tile), scale=1, shift=1, gain=1.04, quality=75) for tile in turned]
    found = near_duplicate_pairs(np.stack([preview(tile) for tile in [*some, *again]]))
    assert found.tolist() == [[row, row + len(some)] for row in range(len(some))]


@pytest.fixture(scope="module")
def crowd(tiles: list[Image]) -> NDArray[np.uint8]:
    """Previews of the tiles, and of each again, altered in one of eight orientations."""
    rng = np.random.default_rng(3)
    again = []
    for row, tile in enumerate(tiles):
        turned = np.rot90(tile[:, ::-1] if row & 4 else tile, row & 3)
        scale, shift = rng.uniform(0.97, 1.03), rng.uniform(-2, 2)
        again.append(altered(np.ascontiguousarray(turned), scale=scale, shift=shift, gain=1.05, quality=75))
    return np.stack([preview(tile) for tile in [*tiles, *again]])


def test_nearest_neighbours_find_what_the_exhaustive_search_finds(crowd: NDArray[np.uint8]) -> None:
    exhaustive = near_duplicate_pairs(crowd)
    assert len(exhaustive) >= 0.98 * len(crowd) / 2
    np.testing.assert_array_equal(near_duplicate_pairs(crowd, max_exhaustive=0), exhaustive)


def test_nearest_neighbours_do_not_depend_on_threads_or_memory_mapping(
    crowd: NDArray[np.uint8], tmp_path: Path
) -> None:
    np.save(tmp_path / "previews.npy", crowd)
    mapped = np.load(tmp_path / "previews.npy", mmap_mode="r")
    one, three = (
        near_duplicate_pairs(previews, max_exhaustive=10, num_workers=workers)
        for previews, workers in ((crowd, 1), (mapped, 3))
    )
    np.testing.assert_array_equal(one, three)


def test_nearest_neighbours_leave_torch_its_threads(crowd: NDArray[np.uint8]) -> None:
    before = torch.get_num_threads()
    near_duplicate_pairs(crowd[:40], max_exhaustive=0)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("number", [1, 2, 40])
def test_few_or_flat_tiles_have_no_nearest_neighbours(number: int, tiles: list[Image]) -> None:
    flat = np.full((number, 64, 64), 90, np.uint8)
    for previews in (flat, np.stack([preview(tile) for tile in tiles[:number]])):
        assert near_duplicate_pairs(previews, max_exhaustive=0).shape == (0, 2)


def test_tiles_of_different_walls_are_no_near_duplicates(tiles: list[Image]) -> None:
    assert len(near_duplicate_pairs(np.stack([preview(tile) for tile in tiles]))) == 0


def test_flat_tiles_are_no_near_duplicates() -> None:
    assert near_duplicate_pairs(
        np.stack([np.full((64, 64), tone, np.uint8) for tone in (20, 20, 200)])
    ).shape == (0, 2)


def test_the_result_does_not_depend_on_the_threads(tiles: list[Image]) -> None:
    previews = np.stack([preview(tile) for tile in [*tiles, *tiles[:30]]])
    np.testing.assert_array_equal(
        near_duplicate_pairs(previews, num_workers=1), near_duplicate_pairs(previews, num_workers=3)
    )


@pytest.mark.real_data
@pytest.mark.skipif(not METU.is_dir(), reason="the METU tiles are not beside the project")
def test_known_near_duplicates_of_metu_are_found_and_others_are_not() -> None:
    names = ["Positive/00427.jpg", "Positive/05935.jpg", "Negative/05439.jpg", "Negative/07904.jpg"]
    names += ["Positive/02700.jpg", "Positive/04997.jpg", "Negative/01213.jpg", "Negative/06538.jpg"]
    names += ["Positive/16420_1.jpg", "Positive/01463.jpg", "Positive/00591.jpg", "Positive/14955_1.jpg"]
    found = near_duplicate_pairs(
        np.stack([preview(decoded(np.fromfile(METU / name, np.uint8))) for name in names])
    )
    assert found.tolist() == [[0, 1], [2, 3], [8, 9], [10, 11]]


@pytest.mark.real_data
@pytest.mark.skipif(not METU.is_dir(), reason="the METU tiles are not beside the project")
def test_pairs_of_metu_that_were_looked_at_by_eye_are_found() -> None:
    with (Path(__file__).parents[1] / "metu_twins.csv").open(encoding="utf-8", newline="") as file:
        pairs = [(row["one"], row["other"]) for row in csv.DictReader(file)]
    names = sorted({name for pair in pairs for name in pair})
    found = near_duplicate_pairs(
        np.stack([preview(decoded(np.fromfile(METU / name, np.uint8))) for name in names])
    )
    assert len(pairs) == 500
    assert set(pairs) <= {(names[one], names[other]) for one, other in found}
