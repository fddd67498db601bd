"""Localisation skill: 0 for random maps, 1 for the mask at any resolution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from crack_lightning.evaluation.localisation import localisation_scores, localisation_skill, skill_by_lines

PX = 48


def cracks(number: int) -> np.ndarray:
    """Masks of an upright crack each, 2 px wide."""
    masks = np.zeros((number, PX, PX), bool)
    for row, left in enumerate(np.random.default_rng(0).integers(2, PX - 4, number)):
        masks[row, :, left : left + 2] = True
    return masks


def test_scores_equal_those_of_an_independent_distance_transform() -> None:
    masks = cracks(5)
    maps = np.random.default_rng(1).normal(size=masks.shape)
    scores = localisation_scores(maps, masks)
    for row, (evidence, crack) in enumerate(zip(maps, masks, strict=True)):
        near = ndimage.distance_transform_edt(~crack) <= 8
        kept = evidence.clip(min=0)
        assert scores["random"][row] == pytest.approx(near.mean())
        assert scores["energy"][row] == pytest.approx(kept[near].sum() / kept.sum(), rel=1e-5)
        assert scores["pointing"][row] == near.flat[evidence.argmax()]


@pytest.mark.parametrize("cells", [6, 12, 48])
def test_a_mask_has_skill_one_at_any_resolution(cells: int) -> None:
    masks, side = cracks(12), PX // cells
    maps = masks.reshape(12, cells, side, cells, side).mean(axis=(2, 4))
    skill = localisation_skill(localisation_scores(maps, masks), np.arange(12))
    assert skill["energy"]["skill"] == pytest.approx(1)
    assert skill["pointing"]["skill"] == pytest.approx(1)
    assert skill["energy"]["score"] <= 1


@pytest.mark.parametrize("level", [-1.0, 0.0, 2.0])
def test_a_constant_map_has_no_skill(level: float) -> None:
    masks = cracks(9)
    skill = localisation_skill(localisation_scores(np.full((9, 6, 6), level), masks), np.arange(9))
    assert skill["energy"]["skill"] == pytest.approx(0, abs=1e-6)
    assert skill["pointing"]["skill"] == pytest.approx(0, abs=1e-6)


def test_evidence_beside_the_crack_has_negative_skill() -> None:
    masks = cracks(9)
    skill = localisation_skill(localisation_scores(1.0 - masks, masks), np.arange(9))
    assert skill["energy"]["skill"] < 0


def test_repeated_tiles_of_a_group_do_not_narrow_the_interval() -> None:
    masks = cracks(40)
    maps = masks + np.random.default_rng(2).normal(size=masks.shape)
    once = localisation_skill(localisation_scores(maps, masks), np.arange(40) // 2)
    twice = localisation_skill(
        localisation_scores(np.repeat(maps, 2, axis=0), np.repeat(masks, 2, axis=0)),
        np.repeat(np.arange(40) // 2, 2),
    )
    for name in ("energy", "pointing"):
        assert twice[name]["interval"] == pytest.approx(once[name]["interval"])
        assert once[name]["interval"]["low"] < once[name]["skill"] < once[name]["interval"]["high"]


def test_skill_is_undefined_for_a_crack_that_fills_its_tile() -> None:
    everywhere = np.ones((3, PX, PX), bool)
    skill = localisation_skill(localisation_scores(np.ones((3, 6, 6)), everywhere), np.arange(3))
    assert skill["energy"]["skill"] is None
    assert skill["energy"]["interval"] is None


def test_skill_is_given_by_number_of_lines() -> None:
    masks = cracks(6)
    scores = localisation_scores(masks.astype(float), masks)
    rows = skill_by_lines(scores, np.arange(6), np.array([1, 1, 2, 4, 5, np.nan]), most=3)
    assert [(row["lines"], row["or_more"], row["tiles"]) for row in rows] == [
        (1, False, 2),
        (2, False, 1),
        (3, True, 2),
    ]
