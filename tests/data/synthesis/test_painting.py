from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from crack_lightning.data.synthesis.crack_rendering import CrackAppearance, paint_cracks, random_appearance
from crack_lightning.data.synthesis.cracks import (
    WIDTH_RANGE_PX,
    CrackGeometry,
    count_lines_in,
    crack_length_in,
    crack_width_in,
    random_cracks,
)
from crack_lightning.data.synthesis.distractors import DISTRACTORS, paint_distractor
from crack_lightning.data.synthesis.strokes import Stroke, centre_lines, coverage

SIZE = 160
LOOK = CrackAppearance(light_angle=0.5, darkness=0.9, rim=0.2, soiling=0.2, tint=(1.0, 1.0, 1.0))

if TYPE_CHECKING:
    from numpy.typing import NDArray


def level_stroke(width_px: float, *, y: float = 80.0, left: float = 20.0, right: float = 140.0) -> Stroke:
    x = np.arange(left, right + 0.1, 2.0)
    points = np.stack([x, np.full_like(x, y)], axis=1)
    return Stroke(points=points, half_width_px=np.full((len(x), 2), width_px / 2))


def grey_wall() -> NDArray[Any]:
    return np.full((SIZE, SIZE, 3), 0.6, np.float32)


def painted_with(
    cracks: list[Stroke], image: NDArray[Any], appearance: CrackAppearance = LOOK
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    return paint_cracks(image, cracks, np.random.default_rng(0), appearance=appearance)


def spread_and_widths(**geometry: Any) -> tuple[float, NDArray[Any]]:
    """Return the median relative deviation along cracks of 4 px, and all widths."""
    even = CrackGeometry(usual_px=(4, 4), hairlines=0, branches=(1.0,), swelling=(0, 0), limits_px=(0.5, 30))
    cracks = [
        random_cracks(np.random.default_rng(seed), 400, 400, num_cracks=1, habit=replace(even, **geometry))[0]
        for seed in range(30)
    ]
    spread = np.median([crack.width_px.std() / crack.width_px.mean() for crack in cracks])
    return float(spread), np.concatenate([crack.width_px for crack in cracks])


@pytest.mark.parametrize("width_px", [1.5, 3.0, 10.0])
def test_a_stroke_covers_its_length_times_its_width(width_px: float) -> None:
    covered = coverage([level_stroke(width_px)], SIZE, SIZE)

    assert covered.sum() == pytest.approx(120 * width_px, rel=0.2)
    assert covered.min() >= 0
    assert covered.max() <= 1


def test_a_stroke_outside_the_image_leaves_it_blank() -> None:
    assert not coverage([level_stroke(4, y=-50)], SIZE, SIZE).any()


def test_a_crack_is_dark_and_leaves_the_given_image_and_everything_far_away_as_it_was() -> None:
    image = grey_wall()
    painted, mask = painted_with([level_stroke(6)], image)

    far = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) > 40
    assert (image == np.float32(0.6)).all()
    np.testing.assert_allclose(painted[far], 0.6, atol=1e-5)
    assert painted[mask].mean() < 0.35
    assert painted[~mask].mean() > 0.5


def test_an_image_without_cracks_comes_back_with_an_empty_mask() -> None:
    painted, mask = painted_with([], grey_wall())

    np.testing.assert_array_equal(painted, grey_wall())
    assert not mask.any()


def test_the_mask_is_as_wide_as_the_crack_and_holds_every_hairline() -> None:
    mask, hairline = (painted_with([level_stroke(width)], grey_wall())[1] for width in (8, 0.7))

    assert mask[:, 80].sum() == pytest.approx(8, abs=1)
    assert (hairline >= centre_lines([level_stroke(0.7)], SIZE, SIZE)).all()


def test_the_width_of_a_tile_is_the_95th_percentile_along_the_line_inside_it() -> None:
    stroke = level_stroke(1.0, left=0, right=158)
    stroke.half_width_px[:, 0] = np.linspace(1, 5, 80)
    stroke.half_width_px[:, 1] = 0.5

    inside = [w for (x, _), w in zip(stroke.points, stroke.width_px, strict=True) if 40 <= x < 120]

    rank = sorted(inside)[round(0.95 * (len(inside) - 1))]
    assert crack_width_in([stroke], 40, 40, 80, 80) == pytest.approx(rank, abs=0.1)
    assert crack_length_in([stroke], 40, 40, 80, 80) == 80


def test_lines_count_from_ten_pixels_on_inside_the_picture() -> None:
    long, short = level_stroke(2, left=0, right=158), level_stroke(2, left=0, right=44)

    assert count_lines_in([long, short], 0, 40, 80, 80) == 2
    assert count_lines_in([long, short], 40, 40, 80, 80) == 1
    assert count_lines_in([long, short], 0, 120, 30, 30) == 0
    assert crack_length_in([long], 0, 0, 100, 90) == 100


@pytest.mark.parametrize("cracks", [[], [level_stroke(4, left=0, right=158)]])
def test_a_tile_without_a_crack_has_no_width(cracks: list[Stroke]) -> None:
    assert crack_length_in(cracks, 0, 0, 100, 70) == 0
    assert np.isnan(crack_width_in(cracks, 0, 0, 100, 70))


def test_random_cracks_keep_to_the_range_of_widths_and_vary_along_the_line() -> None:
    cracks = [
        c for seed in range(20) for c in random_cracks(np.random.default_rng(seed), 400, 400, num_cracks=2)
    ]
    widths = np.concatenate([crack.width_px for crack in cracks])

    assert widths.min() >= WIDTH_RANGE_PX[0] - 1e-9
    assert widths.max() <= WIDTH_RANGE_PX[1] + 1e-9
    assert np.median([crack.width_px.std() / crack.width_px.mean() for crack in cracks]) > 0.1


def test_the_width_of_a_crack_that_opened_follows_its_heading() -> None:
    assert spread_and_widths(opening=1.0)[0] > 1.5 * spread_and_widths()[0]


def test_chips_widen_a_crack_here_and_there() -> None:
    (_, whole), (_, chipped) = spread_and_widths(), spread_and_widths(chips=4.0)

    assert np.quantile(chipped, 0.95) > 1.1 * np.quantile(whole, 0.95)
    assert np.median(chipped) == pytest.approx(np.median(whole), rel=0.15)


def test_a_lit_edge_is_as_wide_as_asked_and_broken_where_it_has_gaps() -> None:
    def beside(appearance: CrackAppearance) -> NDArray[Any]:
        row: NDArray[Any] = painted_with([level_stroke(10)], grey_wall(), appearance)[0][89, 40:120, 0]
        return row  # 4 px below the crack's edge

    lit = replace(LOOK, light_angle=np.pi / 2, rim=0.5, soiling=0.0)

    np.testing.assert_allclose(beside(lit), 0.6, atol=0.01)
    assert beside(replace(lit, rim_px=8.0)).min() > 0.65
    assert beside(replace(lit, rim_px=8.0, rim_gaps=1.0)).std() > 0.02


@pytest.mark.parametrize("rim_px", [4.0, 14.0])
def test_a_wide_lit_edge_beside_a_hairline_is_one_band(rim_px: float) -> None:
    appearance = replace(LOOK, light_angle=np.pi / 2, rim=1.0, soiling=0.0, rim_px=rim_px)

    painted, _ = painted_with([level_stroke(1.2)], grey_wall(), appearance)

    band = painted[82 : 80 + int(rim_px), 40:120, 0].mean(axis=1)
    assert band.min() > 0.6 + 0.5 * (band.max() - 0.6)


def test_a_crack_is_one_unbroken_line() -> None:
    for seed in range(20):
        for crack in random_cracks(np.random.default_rng(seed), 300, 500, num_cracks=1):
            steps = np.hypot(*np.diff(crack.points, axis=0).T)
            np.testing.assert_allclose(steps, crack.step_px, rtol=1e-6)


def test_the_same_seed_paints_the_same_pixels() -> None:
    def paint() -> NDArray[Any]:
        rng = np.random.default_rng(7)
        cracks = random_cracks(rng, SIZE, SIZE, num_cracks=2)
        return paint_cracks(grey_wall(), cracks, rng, appearance=random_appearance(rng, 1.0))[0]

    np.testing.assert_array_equal(paint(), paint())


@pytest.mark.parametrize("kind", DISTRACTORS)
def test_a_distractor_is_the_same_by_seed_and_seen_where_it_says_it_is(kind: str) -> None:
    marked = 0.0
    for seed in range(8):
        image = grey_wall()
        painted, area = paint_distractor(kind, image, np.random.default_rng(seed), light_angle=0.5)
        again, _ = paint_distractor(kind, image, np.random.default_rng(seed), light_angle=0.5)
        np.testing.assert_array_equal(painted, again)
        assert (image == np.float32(0.6)).all()
        assert painted.dtype == np.float32
        change = np.abs(painted - image).max(axis=2)
        marked += float(change[area].mean()) if area.any() else 0.0
    assert marked / 8 > 0.03
