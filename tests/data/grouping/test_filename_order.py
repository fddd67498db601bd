"""Names in order are followed as long as the look continues; shuffled names say nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from crack_lightning.data.grouping.filename_order import (
    consecutive_pairs,
    enclosed_name_pairs,
    folders_in_order,
)
from crack_lightning.data.scan.image_stats import NUM_FEATURES, appearance

if TYPE_CHECKING:
    from numpy.typing import NDArray

PHOTOS, EACH = 40, 15


@pytest.fixture(scope="module")
def looks() -> NDArray[np.float32]:
    """Appearances of 15 tiles each of 40 photos; the tone of a photo is its own."""
    rng = np.random.default_rng(0)
    found = []
    for tone in rng.uniform(60, 200, (PHOTOS, 3)):
        for _ in range(EACH):
            image = np.clip(rng.normal(tone, 6, (64, 64, 3)), 0, 255).astype(np.uint8)
            found.append(appearance(image, image[..., 0]))
    return np.stack(found)


def photos_of(names: list[str], looks: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the photos of the two tiles of each pair, ``(P, 2)``."""
    pairs, distance = consecutive_pairs(np.array(names), looks)
    assert len(distance) == len(pairs)
    return pairs // EACH


def test_neighbours_of_one_photo_are_linked(looks: NDArray[np.float32]) -> None:
    names = [f"wall/tile_{number}.jpg" for number in range(len(looks))]  # 2 comes before 10
    found = photos_of(names, looks)
    assert (found[:, 0] == found[:, 1]).mean() > 0.97
    assert len(found) > 2 * len(looks)


def test_shuffled_names_link_nothing(looks: NDArray[np.float32]) -> None:
    order = np.random.default_rng(1).permutation(len(looks))
    assert len(photos_of([f"{number:04d}.jpg" for number in order], looks)) == 0


def test_folders_are_followed_apart(looks: NDArray[np.float32]) -> None:
    names = [f"{'ab'[number % 2]}/{number:04d}.jpg" for number in range(len(looks))]
    pairs = consecutive_pairs(np.array(names), looks)[0]
    assert len(pairs) > len(looks)
    assert (pairs[:, 0] % 2 == pairs[:, 1] % 2).all()


@pytest.mark.parametrize("number", [0, 1, 50])
def test_few_tiles_say_nothing(number: int) -> None:
    looks = np.zeros((number, NUM_FEATURES), np.float32)
    assert consecutive_pairs(np.array([f"{k}.jpg" for k in range(number)], "U9"), looks)[0].shape == (0, 2)


def test_the_order_of_the_rows_does_not_matter(looks: NDArray[np.float32]) -> None:
    names = np.array([f"{number:04d}.jpg" for number in range(len(looks))])
    order = np.random.default_rng(2).permutation(len(looks))
    plain = {tuple(pair) for pair in consecutive_pairs(names, looks)[0].tolist()}
    mixed = {tuple(order[pair].tolist()) for pair in consecutive_pairs(names[order], looks[order])[0]}
    assert mixed == plain
    assert all(0 < other - one <= 3 for one, other in plain)
    assert {1, 2, 3} == {other - one for one, other in plain}


def test_names_between_those_of_a_photo_are_of_that_photo() -> None:
    names = np.array([f"{number}.jpg" for number in range(12)])
    photo = np.array([0, 0, 20, 0, 0, 21, 22, 1, 1, 23, 1, 24])
    assert enclosed_name_pairs(names, photo).tolist() == [
        [0, 1],
        [1, 2],
        [2, 3],
        [3, 4],
        [7, 8],
        [8, 9],
        [9, 10],
    ]
    order = np.random.default_rng(3).permutation(12)
    again = {tuple(sorted(order[pair])) for pair in enclosed_name_pairs(names[order], photo[order])}
    assert again == {tuple(pair) for pair in enclosed_name_pairs(names, photo).tolist()}


def test_names_between_those_of_many_photos_are_of_none() -> None:
    names = np.array([f"{'ab'[number % 2]}/{number:03d}.jpg" for number in range(200)])
    shuffled = np.random.default_rng(4).integers(10, size=200)
    assert len(enclosed_name_pairs(names, shuffled)) == 0
    assert enclosed_name_pairs(names[:0], shuffled[:0]).shape == (0, 2)


def test_names_with_digits_that_are_no_numbers_have_an_order() -> None:
    names = ["10.jpg", "1²3.jpg", "①.jpg", "٣.jpg", "2.jpg", "a.jpg", "1.jpg", "Ⅷ.jpg", "1.5.jpg"]
    order = [names[row] for row in folders_in_order(np.array(names))[0]]
    assert sorted(order) == sorted(names)
    numbers = [name for name in order if name in {"1.jpg", "2.jpg", "٣.jpg", "10.jpg"}]
    assert numbers == ["1.jpg", "2.jpg", "٣.jpg", "10.jpg"]
