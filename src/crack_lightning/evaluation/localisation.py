"""Localisation skill: agreement of evidence maps with crack masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from crack_lightning.evaluation.intervals.groups import BOOTSTRAP, percentiles, resampled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Scores = dict[str, NDArray[np.float64]]

NEAR_PX = 8
MEASURES = ("energy", "pointing")


def localisation_scores(
    maps: NDArray[np.floating], masks: Iterable[NDArray[np.bool_]], *, near_px: float = NEAR_PX
) -> Scores:
    """Return the share of the evidence of each map that lies on or near the crack.

    Negative evidence counts as 0; a map without positive evidence counts as uniform.

    Args:
        maps: Evidence, float ``(N, h, w)``; each covers its whole image.
        masks: N masks, bool ``(H, W)`` in pixels of the original image, each with a crack; read one by one.
        near_px: Tolerance around the crack, original pixels.

    Returns:
        Float ``(N,)`` each: ``random``, the share of the image within the tolerance, which is the expected
        score of a random map; ``energy``, the share of the map's sum within it (Wang et al., "Score-CAM",
        CVPR Workshops 2020); ``pointing``, 1 if the map's maximum lies within it, else 0 (Zhang et al.,
        "Top-down Neural Attention by Excitation Backprop", IJCV 2018), and with several maxima the share of
        them within it; ``energy_ideal`` and ``pointing_ideal``, the scores of a map that is the mask itself,
        at the resolution of the maps.
    """
    rows = [_scores(evidence, crack, near_px) for evidence, crack in zip(maps, masks, strict=True)]
    names = ("random", *MEASURES, *(f"{name}_ideal" for name in MEASURES))
    return dict(zip(names, np.array(rows, np.float64).reshape(-1, len(names)).T, strict=True))


def _scores(evidence: NDArray[np.floating], crack: NDArray[np.bool_], near_px: float) -> tuple[float, ...]:
    away = cv2.distanceTransform((~crack).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = away <= near_px
    size = evidence.shape[::-1]
    ideal = np.asarray(cv2.resize(crack.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)
    return (float(near.mean()), *_share_near(evidence, near), *_share_near(ideal, near))


def _share_near(evidence: NDArray[np.floating], near: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the share of the evidence, and of its maxima, that lies near the crack."""
    gains = np.maximum(evidence, 0).astype(np.float32)
    spread = cv2.resize(gains, near.shape[::-1], interpolation=cv2.INTER_LINEAR)
    total = float(spread.sum())
    highest = spread == spread.max()
    return float(spread[near].sum()) / total if total > 0 else float(near.mean()), float(near[highest].mean())


def localisation_skill(scores: Scores, group: NDArray[np.int64]) -> dict[str, Any]:
    """Return the localisation skill: 0 for random maps, 1 for the masks at the resolution of the maps.

    Args:
        scores: The result of :func:`localisation_scores` for N tiles, N at least 1.
        group: Group numbers from 0, int64 ``(N,)``.

    Returns:
        ``tiles``, and by measure (``energy``, ``pointing``) the means ``score``, ``random`` and ``ideal``,
        the ``skill`` (score - random) / (ideal - random) of these means, and its ``interval``; both are
        ``None`` where the ideal is no better than random.
    """
    found: dict[str, Any] = {"tiles": len(group)}
    samples = resampled(lambda counts: _skills(scores, counts[:, group]), group)
    whole = _skills(scores, np.ones((1, len(group))))
    for name in MEASURES:
        skill, interval = float(whole[name][0]), percentiles(samples[name])
        undefined = float(np.isnan(samples[name]).mean())
        found[name] = {
            "score": float(scores[name].mean()),
            "random": float(scores["random"].mean()),
            "ideal": float(scores[f"{name}_ideal"].mean()),
            "skill": skill if np.isfinite(skill) else None,
            "interval": interval
            and interval._asdict() | {"method": BOOTSTRAP, "undefined_resamples": undefined},
        }
    return found


def _skills(scores: Scores, weights: NDArray[np.float64]) -> Scores:
    """Return the skill of each measure for R sets of weights ``(R, N)``; NaN where ideal equals random."""
    found = {}
    for name in MEASURES:
        gained = weights @ (scores[name] - scores["random"])
        possible = weights @ (scores[f"{name}_ideal"] - scores["random"])
        found[name] = np.divide(gained, possible, out=np.full(len(gained), np.nan), where=possible > 0)
    return found


def skill_by_lines(
    scores: Scores, group: NDArray[np.int64], lines: NDArray[np.floating], *, most: int = 3
) -> list[dict[str, Any]]:
    """Return the localisation skill by the number of lines of the crack.

    Args:
        scores: The result of :func:`localisation_scores` for N tiles.
        group: Group numbers from 0, int64 ``(N,)``.
        lines: Number of lines (trunks and branches) of each tile's crack; NaN where unknown, float ``(N,)``.
        most: Number of lines of the last row, which includes tiles with more.

    Returns:
        One row per number that occurs: ``lines``, ``or_more``, and what :func:`localisation_skill` returns.
    """
    found = []
    for number in range(1, most + 1):
        rows = lines >= number if number == most else lines == number
        if rows.any():
            part = {name: values[rows] for name, values in scores.items()}
            codes = np.unique(group[rows], return_inverse=True)[1].astype(np.int64)
            found.append({"lines": number, "or_more": number == most, **localisation_skill(part, codes)})
    return found
