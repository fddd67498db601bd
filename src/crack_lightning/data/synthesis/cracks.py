"""Random crack geometry: centre lines, local widths and branches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from crack_lightning.data.synthesis.strokes import Stroke, normals, wander

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEP_PX = 2.0
WIDTH_RANGE_PX = (0.7, 12.0)
LEAST_LINE_PX = 10


@dataclass(frozen=True, kw_only=True)
class CrackGeometry:
    """Parameters of random crack geometry; shares are fractions of the cracks.

    Attributes:
        usual_px: Range of the typical width, drawn log-uniformly, pixels.
        limits_px: The narrowest and the widest local width, pixels.
        hairlines: Share whose typical width is 0.7 to 1.1 px instead.
        tortuosity: Range of the standard deviation of the heading, radians.
        begins_inside: Share whose first end is inside the image.
        ends_inside: Share whose second end is inside the image.
        branches: Probability of 0, 1, 2, … branches.
        branch_px: Range of the length of a branch, pixels.
        swelling: Range of the relative standard deviation of the width along a crack.
        opening: Dependence of the width on the heading, in ``[0, 1]``: two faces that move apart in one
            direction open where the crack runs across that direction and stay closed where it runs along it.
        chips: Pieces broken out of an edge per hundred points of a line.
    """

    usual_px: tuple[float, float] = (5.0, 11.0)
    limits_px: tuple[float, float] = WIDTH_RANGE_PX
    hairlines: float = 0.03
    tortuosity: tuple[float, float] = (0.4, 0.75)
    begins_inside: float = 0.15
    ends_inside: float = 0.0
    branches: tuple[float, ...] = (0.55, 0.27, 0.12, 0.06)
    branch_px: tuple[float, float] = (80.0, 500.0)
    swelling: tuple[float, float] = (0.1, 0.35)
    opening: float = 0.0
    chips: float = 0.0


def random_cracks(
    rng: np.random.Generator, height: int, width: int, *, num_cracks: int, habit: CrackGeometry | None = None
) -> list[Stroke]:
    """Draw cracks that cross or end in an image, each with its branches.

    Args:
        rng: Source of every draw.
        height: Of the image, pixels.
        width: Of the image, pixels.
        num_cracks: Main cracks; branches come on top.
        habit: Parameters of their geometry; those of drawn photos by default.

    Returns:
        Centre lines with edges, each local width within ``habit.limits_px``.
    """
    habit = habit or CrackGeometry()
    cracks: list[Stroke] = []
    for _ in range(num_cracks):
        trunk = _main_crack(rng, height, width, habit)
        cracks.append(trunk)
        num_branches = int(rng.choice(len(habit.branches), p=habit.branches))
        cracks.extend(_branch(rng, trunk, habit) for _ in range(num_branches))
    return cracks


def crack_length_in(
    cracks: list[Stroke], left: float, top: float, width_px: float, height_px: float
) -> float:
    """Return the total length of the centre lines in a rectangle, pixels."""
    return sum(STEP_PX * int(crack.inside(left, top, width_px, height_px).sum()) for crack in cracks)


def count_lines_in(cracks: list[Stroke], left: float, top: float, width_px: float, height_px: float) -> int:
    """Count the lines (trunks and branches) with at least 10 px in a rectangle."""
    return sum(crack_length_in([crack], left, top, width_px, height_px) >= LEAST_LINE_PX for crack in cracks)


def crack_width_in(cracks: list[Stroke], left: float, top: float, width_px: float, height_px: float) -> float:
    """Return the 95th percentile of the width along the centre lines in a rectangle, pixels; NaN if none."""
    widths = [w for crack in cracks for w in crack.width_px[crack.inside(left, top, width_px, height_px)]]
    return float(np.percentile(widths, 95)) if widths else float("nan")


def _main_crack(rng: np.random.Generator, height: int, width: int, habit: CrackGeometry) -> Stroke:
    size = np.array([width, height])
    through = rng.uniform(0.1, 0.9, 2) * size
    heading = float(rng.uniform(0, 2 * np.pi))
    reach = float(np.hypot(*size))
    back = reach if rng.random() < 1 - habit.begins_inside else rng.uniform(0, 0.25) * reach
    ends = habit.ends_inside > 0 and rng.random() < habit.ends_inside
    ahead = rng.uniform(0.1, 0.5) * reach if ends else reach
    start = through - back * np.array([np.cos(heading), np.sin(heading)])
    points = _walk(rng, start, heading, back + ahead, tortuosity=float(rng.uniform(*habit.tortuosity)))
    return _add_edges(rng, points, _random_width(rng, habit), ends=(back < reach, ends), habit=habit)


def _branch(rng: np.random.Generator, trunk: Stroke, habit: CrackGeometry) -> Stroke:
    at = int(rng.integers(len(trunk.points) // 4, 3 * len(trunk.points) // 4))
    ahead = trunk.points[min(at + 5, len(trunk.points) - 1)] - trunk.points[at]
    turn = rng.uniform(0.4, 1.3) * rng.choice([-1, 1])
    heading = float(np.arctan2(ahead[1], ahead[0]) + turn)
    length_px = float(rng.uniform(*habit.branch_px))
    points = _walk(rng, trunk.points[at], heading, length_px, tortuosity=float(rng.uniform(0.3, 0.65)))
    width = float(np.clip(trunk.width_px[at] * rng.uniform(0.5, 0.9), *habit.limits_px))
    return _add_edges(rng, points, width, ends=(False, True), habit=habit)


def _random_width(rng: np.random.Generator, habit: CrackGeometry) -> float:
    """Draw a crack's typical width, pixels."""
    if habit.hairlines and rng.random() < habit.hairlines:
        return float(rng.uniform(0.7, 1.1))
    return float(np.exp(rng.uniform(*np.log(habit.usual_px))))


def _walk(
    rng: np.random.Generator,
    start: NDArray[np.float64],
    heading: float,
    length_px: float,
    *,
    tortuosity: float,
) -> NDArray[np.float64]:
    """Return a random walk with multi-scale heading noise, float ``(P, 2)`` in steps of ``STEP_PX``."""
    num_points = max(int(length_px / STEP_PX), 8)
    drift = wander(rng, num_points, coarsest=rng.uniform(30, 150), roughness=0.7)
    facets = np.repeat(rng.standard_normal(num_points), rng.integers(2, 14, num_points))[:num_points]
    angle = heading + tortuosity * (drift + rng.uniform(0.3, 1.3) * facets)
    steps = STEP_PX * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.asarray(start + np.cumsum(steps, axis=0))


def _add_edges(
    rng: np.random.Generator,
    points: NDArray[np.float64],
    width_px: float,
    *,
    ends: tuple[bool, bool],
    habit: CrackGeometry,
) -> Stroke:
    """Return a line with local widths: slow variation, rough edges, and a taper at ends in the concrete."""
    num_points = len(points)
    slow = np.exp(rng.uniform(*habit.swelling) * wander(rng, num_points, coarsest=80, roughness=0.6))
    local = width_px * slow
    taper_points = min(num_points // 2, int(rng.uniform(15, 60)))
    ramp = np.minimum(1, (np.arange(num_points) + 1) / taper_points)
    local *= (ramp if ends[0] else 1.0) * (ramp[::-1] if ends[1] else 1.0)
    if habit.opening:
        local *= 1 - habit.opening + habit.opening * _opening(rng, points)
    half = 0.5 * local[:, None] * np.stack([_edge(rng, num_points, habit.chips) for _ in range(2)], axis=1)
    narrowest, widest = habit.limits_px
    return Stroke(points=points, half_width_px=np.clip(half, narrowest / 2, widest / 2))


def _opening(rng: np.random.Generator, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the relative opening ``(P,)`` of faces displaced in one direction, about 1 on average."""
    trend = points[-1] - points[0]
    across = float(np.arctan2(-trend[0], trend[1]))  # the normal of the crack as a whole
    slant = float(rng.uniform(-0.9, 0.9))
    parting = np.array([np.cos(across + slant), np.sin(across + slant)])
    facing = cv2.blur(normals(points), (1, 5)) @ parting
    return np.asarray(1.1 * np.minimum(np.abs(facing) / np.cos(slant), 2.0))


def _edge(rng: np.random.Generator, num_points: int, chips: float) -> NDArray[np.float64]:
    """Return a rough, chipped edge's relative distance from the centre line, ``(num_points,)``."""
    rough = rng.uniform(0.15, 0.4) * wander(rng, num_points, coarsest=10, roughness=0.9)
    broken = np.maximum(wander(rng, num_points, coarsest=12, roughness=0.5) - 1.4, 0)
    edge = 1 + rough + rng.uniform(0, 1.5) * broken
    if chips:
        number = int(rng.poisson(chips * num_points / 100))
        at, reach = rng.uniform(0, num_points, number), rng.uniform(1.5, 5.0, number)
        near = np.maximum(1 - np.abs(np.arange(num_points)[:, None] - at) / reach, 0)
        edge = edge + near @ rng.uniform(0.5, 1.6, number)
    return np.asarray(edge)
