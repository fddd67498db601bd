"""Rendering of a photo of a concrete wall, and the tiles cut from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from crack_lightning.data.synthesis.concrete import apply_camera, apply_uneven_light, draw_wall
from crack_lightning.data.synthesis.crack_rendering import paint_cracks, random_appearance
from crack_lightning.data.synthesis.cracks import (
    CrackGeometry,
    count_lines_in,
    crack_length_in,
    crack_width_in,
    random_cracks,
)
from crack_lightning.data.synthesis.distractors import DISTRACTORS, paint_distractor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from crack_lightning.data.synthesis.strokes import Stroke

DRAWING_VERSION = 12
"""To be raised whenever the same seed gives other pixels or columns, which invalidates cached tiles."""

MIN_CRACK_LENGTH_PX = 48.0
MIN_DISTRACTOR_PX = 40
# intact walls have more lines and shadows, so that dark pixels alone do not predict a crack
_CLUTTER = {"cracked": 1.6, "sound": 2.3}


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A drawn photo with its annotations.

    Attributes:
        image: uint8 ``(H, W, 3)``, RGB.
        mask: Crack pixels, bool ``(H, W)``.
        cracks: Centre lines and widths.
        distractors: Mask of each kind, bool ``(H, W)``.
        jpeg_quality: Quality of the camera's JPEG, ``[0, 100]``.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    cracks: list[Stroke]
    distractors: dict[str, NDArray[np.bool_]]
    jpeg_quality: int


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A tile cut from a photo, encoded.

    Attributes:
        position: Row and column in its photo.
        jpeg: The encoded image.
        mask_png: The encoded crack mask, 255 on 0.
        crack_width_px: 95th percentile of the local width along the centre lines; NaN where intact.
        crack_lines: Number of lines (trunks and branches) of its cracks.
        distractors: Kinds joined by ``+``.
    """

    position: tuple[int, int]
    jpeg: bytes
    mask_png: bytes
    crack_width_px: float
    crack_lines: int
    distractors: str

    @property
    def cracked(self) -> bool:
        """Whether there is a crack on it."""
        return not np.isnan(self.crack_width_px)


def draw_photo(
    rng: np.random.Generator, height: int, width: int, *, crack_width_px: tuple[float, float] | None = None
) -> Photo:
    """Draw a photo of a concrete wall, cracked or not.

    Args:
        rng: Source of every draw; the same state gives the same pixels on any number of threads.
        height: Pixels.
        width: Pixels.
        crack_width_px: Limits of the typical width, drawn log-uniformly; by default a few cracks are
            hairlines and most are wide.
    """
    light_angle = float(rng.uniform(0, 2 * np.pi))
    number = _number_of_cracks(rng, height * width)
    habit = CrackGeometry(usual_px=crack_width_px, hairlines=0.0) if crack_width_px else None
    cracks = random_cracks(rng, height, width, num_cracks=number, habit=habit)
    clutter = rng.beta(2, 1.5) * _CLUTTER["cracked" if cracks else "sound"]
    kinds = _random_distractors(rng, clutter)
    over_cracks = [kind for kind in kinds if "photo" in DISTRACTORS[kind].over_cracks]
    scene = draw_wall(rng, height, width, light_angle=light_angle)
    distractors = {}
    for kind in (kind for kind in kinds if kind not in over_cracks):
        scene, distractors[kind] = paint_distractor(kind, scene, rng, light_angle=light_angle)
    scene, mask = paint_cracks(scene, cracks, rng, appearance=random_appearance(rng, light_angle))
    for kind in over_cracks:
        scene, distractors[kind] = paint_distractor(kind, scene, rng, light_angle=light_angle)
    image = apply_camera(rng, apply_uneven_light(rng, scene))
    quality = int(rng.integers(60, 96))
    return Photo(image=image, mask=mask, cracks=cracks, distractors=distractors, jpeg_quality=quality)


def cut_tiles(photo: Photo, *, tile_px: int) -> Iterator[Tile]:
    """Cut a photo into square tiles by rows, leaving out those with less than 48 px of a crack.

    Args:
        photo: What ``draw_photo`` returned.
        tile_px: Side of a tile, pixels; incomplete tiles at the right and the bottom are left out.
    """
    height, width = photo.mask.shape
    for row in range(height // tile_px):
        for column in range(width // tile_px):
            top, left = row * tile_px, column * tile_px
            length = crack_length_in(photo.cracks, left, top, tile_px, tile_px)
            window = (slice(top, top + tile_px), slice(left, left + tile_px))
            if length < MIN_CRACK_LENGTH_PX and photo.mask[window].any():
                continue
            kinds = [
                kind for kind, area in photo.distractors.items() if area[window].sum() >= MIN_DISTRACTOR_PX
            ]
            yield Tile(
                position=(row, column),
                jpeg=_encode(
                    ".jpg", photo.image[window][..., ::-1], cv2.IMWRITE_JPEG_QUALITY, photo.jpeg_quality
                ),
                mask_png=_encode(
                    ".png", photo.mask[window].astype(np.uint8) * 255, cv2.IMWRITE_PNG_COMPRESSION, 1
                ),
                crack_width_px=crack_width_in(photo.cracks, left, top, tile_px, tile_px),
                crack_lines=count_lines_in(photo.cracks, left, top, tile_px, tile_px),
                distractors="+".join(kinds),
            )


def _random_distractors(rng: np.random.Generator, clutter: float) -> list[str]:
    """Draw the kinds of distractors of a photo."""
    return [
        kind
        for kind, one in DISTRACTORS.items()
        if one.photo_share is not None
        and rng.random() < one.photo_share * (1 if one.on_every_wall else clutter)
    ]


def _number_of_cracks(rng: np.random.Generator, area_px: int) -> int:
    """Draw the number of main cracks: none in two photos of five, more on a large photo."""
    if rng.random() < 0.4:
        return 0
    usual = int(rng.choice([1, 2, 3], p=[0.8, 0.17, 0.03]))
    return max(usual, round(usual * float(np.sqrt(area_px)) / 900))


def _encode(suffix: str, pixels: NDArray[np.uint8], setting: int, value: int) -> bytes:
    done, data = cv2.imencode(suffix, np.ascontiguousarray(pixels), [setting, value])
    assert done, f"cv2 cannot encode {suffix} of {pixels.shape}"
    return bytes(data)
