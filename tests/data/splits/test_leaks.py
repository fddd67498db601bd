"""No tile has a near-duplicate in another split: compared pixel by pixel, by a search of the test's own."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from crack_lightning.data.scan.prepare import prepare_tiles
from crack_lightning.data.sources import image_folder
from crack_lightning.data.splits.assign import split_table
from crack_lightning.data.synthesis.scene import cut_tiles, draw_photo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable

    Grey = NDArray[np.float32]

SCALES, SHIFTS_PX = (0.96, 0.98, 1.0, 1.02, 1.04), (-4, -2, 0, 2, 4)
TURNS: list[Callable[[Grey], Grey]] = [
    *(partial(np.rot90, k=quarters) for quarters in range(4)),
    *(partial(lambda image, k: np.rot90(image[:, ::-1], k), k=quarters) for quarters in range(4)),
]
NUM_PHOTOS, NUM_TWINS = 60, 200


# ---- The check. Nothing below this line and above the next knows the package. ----


def aligned_leaks(left: Sequence[Path], right: Sequence[Path]) -> list[tuple[int, int]]:
    """Return pairs across two sides that show the same pixels.

    Pairs whose 16 px thumbnails correlate over 0.9 at some shift within 4 px and some scale within 4 %, one
    of them mirrored or turned if need be, are aligned at full resolution; those that then correlate by 0.95
    or more are leaks.
    """
    ours, theirs = [grey(path) for path in left], [grey(path) for path in right]
    fixed = [np.stack([thumbnail(turn(image)) for image in ours]) for turn in TURNS]
    best = np.full((len(TURNS), len(ours), len(theirs)), -1.0, np.float32)
    for scale, x, y in product(SCALES, SHIFTS_PX, SHIFTS_PX):
        moved = np.stack([thumbnail(warped(image, scale, x, y)) for image in theirs])
        for number, thumbnails in enumerate(fixed):
            np.maximum(best[number], thumbnails @ moved.T, out=best[number])
    return sorted(
        {
            (int(i), int(j))
            for number, i, j in np.argwhere(best > 0.9)
            if same_pixels(np.ascontiguousarray(TURNS[number](ours[i])), theirs[j])
        }
    )


def grey(path: Path) -> Grey:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert image is not None, path
    return image.astype(np.float32)


def thumbnail(image: Grey) -> Grey:
    small = cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA).ravel()
    small -= small.mean()
    return np.asarray(small / max(float(np.linalg.norm(small)), 1e-6), np.float32)


def warped(image: Grey, scale: float, x: float, y: float) -> Grey:
    middle = (image.shape[0] - 1) / 2
    matrix = np.array([[scale, 0, middle * (1 - scale) + x], [0, scale, middle * (1 - scale) + y]])
    size = image.shape[::-1]
    return np.asarray(cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT), np.float32)


def same_pixels(one: Grey, other: Grey) -> bool:
    """Say whether two tiles correlate by 0.95 at some scale and shift, on the part that both show."""
    border = 10
    inner = np.ascontiguousarray(other[border:-border, border:-border])
    scales = sorted(np.linspace(0.955, 1.045, 13), key=lambda scale: abs(scale - 1))
    return any(
        cv2.matchTemplate(warped(one, scale, x, y), inner, cv2.TM_CCOEFF_NORMED).max() >= 0.95
        for scale, x, y in product(scales, (0, 0.5), (0, 0.5))
    )


# ---- The check ends here. ----


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiles of drawn photos, and a twin of some: mirrored, brighter, moved, scaled, or all at once."""
    root = tmp_path_factory.mktemp("tiles")
    written = []
    for photo in range(NUM_PHOTOS):
        drawn = draw_photo(np.random.default_rng([9, photo]), 256, 256)
        for tile in cut_tiles(drawn, tile_px=128):
            path = (
                root
                / ("crack" if tile.cracked else "intact")
                / f"{photo:03d}_{tile.position[0]}{tile.position[1]}.jpg"
            )
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(tile.jpeg)
            written.append(path)
    rng = np.random.default_rng(0)
    for number, row in enumerate(rng.permutation(len(written))[:NUM_TWINS]):
        twin = planted(written[row], number % 5)
        cv2.imwrite(
            str(written[row].with_name(f"twin_{number:03d}.jpg")), twin, [cv2.IMWRITE_JPEG_QUALITY, 60]
        )
    return root


def planted(path: Path, kind: int) -> NDArray[np.uint8]:
    image = cv2.imread(str(path))
    assert image is not None
    scale, shift, gain = [(1, 0, 1), (1, 0, 1.08), (1, 2, 1), (0.97, 0, 1), (1.03, 2, 0.92)][kind]
    middle = (image.shape[0] - 1) / 2
    matrix = np.array([[scale, 0, middle * (1 - scale) + shift], [0, scale, middle * (1 - scale) - shift]])
    moved = cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
    turned = moved[:, ::-1] if kind == 0 else moved
    return np.asarray(np.clip(turned * gain, 0, 255), np.uint8)


def leaks(table: TileTable, **how: Any) -> list[tuple[int, int]]:
    done = split_table(table, seed=0, **how)
    test = [done.root / path for path in done.path[done.split == "test"]]
    rest = [done.root / path for path in done.path[done.split != "test"]]
    return aligned_leaks(test, rest)


@pytest.fixture(scope="module")
def table(tiles: Path, tmp_path_factory: pytest.TempPathFactory) -> TileTable:
    found = image_folder.load(tiles, class_names=None, positive_class="crack", group_pattern=None)
    cache = tmp_path_factory.mktemp("cache")
    return prepare_tiles(
        found, on_unreadable="error", num_workers=2, show_progress=False, cache=cache, near_duplicates=True
    )[0]


def test_the_check_finds_the_planted_twins(table: TileTable) -> None:
    paths = [table.root / path for path in table.path]
    twins = [path for path in paths if path.name.startswith("twin")]
    plain = [path for path in paths if not path.name.startswith("twin")]
    assert len({i for i, _ in aligned_leaks(twins, plain)}) >= 0.98 * NUM_TWINS


def test_a_splitter_that_leaks_is_caught(table: TileTable) -> None:
    assert len(leaks(table, strategy="random")) >= 10


def test_a_grouped_split_leaks_nothing(table: TileTable) -> None:
    assert leaks(table) == []


@pytest.mark.timeout(1800)
@pytest.mark.real_data
def test_a_grouped_split_of_metu_leaks_nothing(metu_table: TileTable) -> None:
    assert leaks(metu_table) == []
