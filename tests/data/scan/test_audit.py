"""Audits against planted duplicates, outliers and label errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from crack_lightning.data.grouping.near_duplicates import preview
from crack_lightning.data.scan.audit import (
    _modified_z,
    audit_tiles,
    class_balance,
    outliers,
    rare_sizes,
    sets_of,
    suspects,
)
from crack_lightning.data.scan.image_stats import MEASURES, NUM_FEATURES, appearance
from crack_lightning.data.scan.scan import ScanResult
from crack_lightning.data.table import TileTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

RNG_SEED = 5


def measured(image: NDArray[np.uint8]) -> dict[str, float]:
    values = appearance(image, preview(image))
    assert values.shape == (NUM_FEATURES,)
    return dict(zip(MEASURES, values.tolist(), strict=False))


def noise(*, side: int = 128) -> NDArray[np.uint8]:
    rng = np.random.default_rng(RNG_SEED)
    return np.asarray(rng.normal(128, 20, (side, side, 1)).repeat(3, 2).clip(0, 255), np.uint8)


def test_measures_are_what_they_say() -> None:
    image = noise()
    plain = measured(image)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64) / 255
    assert plain["brightness"] == pytest.approx(grey.mean(), abs=1e-4)
    assert plain["contrast"] == pytest.approx(grey.std(), abs=1e-4)
    blurred = measured(np.asarray(cv2.GaussianBlur(image, (0, 0), 2), np.uint8))
    assert blurred["sharpness"] < 0.2 * plain["sharpness"]
    assert blurred["brightness"] == pytest.approx(plain["brightness"], abs=0.01)


def test_the_first_quantiles_are_those_of_the_grey_values() -> None:
    image = noise()
    small = preview(image)
    quantiles = appearance(image, small)[len(MEASURES) : len(MEASURES) + 5] * 255
    expected = np.quantile(small, (0.5, 0.75, 0.9, 0.97, 0.995), method="lower")
    assert quantiles == pytest.approx(expected)


def test_a_dark_line_shows_in_the_features() -> None:
    image = noise()
    cracked = image.copy()
    cracked[:, 60:64] = 20
    rest = slice(len(MEASURES), None)
    change = np.abs(appearance(cracked, preview(cracked)) - appearance(image, preview(image)))[rest]
    assert change.max() > 0.1


def test_sets_share_a_name_and_empty_names_are_none() -> None:
    result = sets_of(np.array(["b", "", "a", "b", "c", "a", "b", ""]))
    assert [rows.tolist() for rows in result] == [[0, 3, 6], [2, 5]]
    assert sets_of(np.array(["", ""])) == []
    assert sets_of(np.array([], dtype=str)) == []


def test_outliers_lie_far_from_the_rest_and_the_farthest_comes_first() -> None:
    rng = np.random.default_rng(0)
    statistics = np.abs(rng.normal(0.5, 0.02, (500, NUM_FEATURES))).astype(np.float32)
    statistics[[7, 9], 0] = 0.05, 0.95
    statistics[9, 0] = 0.99
    statistics[3, 2] = 0.01
    result = outliers(statistics)
    assert result["brightness"][0] == 9
    assert set(result["brightness"]) >= {7, 9}
    assert 3 in result["sharpness"]
    assert all(len(rows) < 10 for rows in result.values())


def test_sizes_of_fewer_than_one_in_a_hundred_are_rare() -> None:
    size = np.array([[64, 64]] * 300 + [[64, 32]] * 2, np.int32)
    assert rare_sizes(size).tolist() == [300, 301]
    assert rare_sizes(np.empty((0, 2), np.int32)).tolist() == []


@pytest.mark.parametrize("grouped", [False, True])
def test_planted_wrong_labels_are_found_first(grouped: bool) -> None:  # noqa: FBT001
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 1000)
    features = (rng.normal(0, 1, (1000, 6)) + 3.0 * truth[:, None]).astype(np.float32)
    wrong = rng.choice(1000, 30, replace=False)
    label = truth.copy()
    label[wrong] = 1 - label[wrong]
    group = np.array([f"photo {row // 10}" if grouped else "" for row in range(1000)])
    result = suspects(features, label, group, num_classes=2)
    right = [suspect.row in wrong for suspect in result]
    assert sum(right) >= 24
    assert sum(right) >= 0.9 * len(result)
    assert all(right[:10])
    assert all(suspect.probable == truth[suspect.row] for suspect in result[:10])


def test_too_few_tiles_or_groups_give_no_suspects() -> None:
    features, label = np.zeros((30, 3), np.float32), np.array([0, 1] * 15)
    assert suspects(features[:12], label[:12], np.full(12, ""), num_classes=2) == []
    assert suspects(features, label, np.full(30, "one photo"), num_classes=2) == []


def test_an_audit_joins_what_is_known_by_row() -> None:
    names = np.array(["a", "b", "c", "d", "e"])
    blank = np.full(5, "", dtype="U5")
    table = TileTable(
        root=Path("nowhere"),
        class_names=("intact", "crack"),
        positive_class="crack",
        path=names,
        label=np.array([0, 0, 1, 0, 1]),
        group=np.array(["p", "p", "q", "", ""]),
        source=np.full(5, "test"),
        split=blank,
        sha256=blank,
    )
    statistics = np.full((5, NUM_FEATURES), 0.5, np.float32)
    statistics[3] = np.nan
    scan = ScanResult(
        digest=np.repeat(np.array([1, 1, 2, 3, 4], np.uint8)[:, None], 32, axis=1),
        size=np.array([[9, 9], [9, 9], [9, 9], [0, 0], [9, 9]], np.int32),
        mode=np.array(["RGB", "RGB", "L", "", "RGB"]),
        reason=np.array(["", "", "", "an empty file", ""]),
        near_duplicates=np.array([[1, 2]]),
        appearance=statistics,
    )
    result = audit_tiles(table, scan)
    assert [rows.tolist() for rows in result.identical] == [[0, 1]]
    assert [rows.tolist() for rows in result.near_duplicates] == [[0, 1, 2]]
    assert [rows.tolist() for rows in result.conflicts] == [[0, 1, 2]]
    assert result.flags() == [
        "identical+near_duplicate+conflict",
        "identical+near_duplicate+conflict",
        "near_duplicate+conflict",
        "unreadable",
        "",
    ]
    assert class_balance(result.table) == {"p": [2, 1]}


@pytest.mark.parametrize("equal", [60, 90, 100])
def test_where_most_tiles_are_equally_bright_the_others_are_no_outliers_for_that(equal: int) -> None:
    statistics = np.full((100, NUM_FEATURES), 0.5, np.float32)
    statistics[equal:, MEASURES.index("brightness")] += np.linspace(-1e-3, 1e-3, 100 - equal)
    assert outliers(statistics)["brightness"].tolist() == []
    statistics[7, MEASURES.index("brightness")] = 0.9
    assert outliers(statistics)["brightness"].tolist() == [7]


def test_the_modified_z_score_of_a_set_half_equal_is_by_the_mean_deviation() -> None:
    values = np.array([5.0] * 6 + [6.0, 7.0, 3.0, 13.0])
    mean_deviation = (1 + 2 + 2 + 8) / 10  # by hand; Iglewicz and Hoaglin give no value for a median of 0
    np.testing.assert_allclose(_modified_z(values), (values - 5) / (1.2533 * mean_deviation))
