"""Per-tile random transforms of a uint8 batch, on its device.

A tile's draws depend on (seed, epoch, tile) alone, so the result is bitwise independent of batch, order,
worker and number of threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from crack_lightning.data.transforms import geometry, photometry
from crack_lightning.data.transforms.counter_rng import Draw, hash_key, uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Label-preserving random transforms of a tile; every default is "off".

    They are applied in the order of a camera: geometry (flips, quarter turns, warp), occlusion (erasing,
    shadow), colour, blur, sensor noise, JPEG. Pairs are ``(low, high)``, drawn uniformly.

    Attributes:
        flip: Mirror horizontally and vertically, each with probability 0.5.
        quarter_turns: Rotate by 0, 90, 180 or 270 degrees (0 or 180 where tiles are not square).
        rotation_deg: Largest rotation in either direction, degrees.
        scale: Magnification; above 1 crops, below 1 pads by reflection.
        translate: Largest shift in either direction, share of the tile; pads by reflection.
        brightness: Multiply by ``1 ± brightness``.
        contrast: Multiply the distance to the tile's mean luma by ``1 ± contrast``.
        saturation: Multiply the distance to grey by ``1 ± saturation``.
        hue: Largest rotation of the hue in either direction, share of a full turn.
        blur_probability: Share of tiles that are blurred.
        blur_sigma_px: Standard deviation of the Gaussian, pixels.
        noise_std: Largest standard deviation of the noise, in the unit of ``[0, 1]`` images.
        jpeg_probability: Share of tiles that are compressed.
        jpeg_quality: JPEG quality, 1 to 100, rounded.
        shadow_probability: Share of tiles that get the edge of a shadow.
        shadow_depth: Share of light removed by the shadow.
        erasing_probability: Share of tiles of which a rectangle is erased.
        erasing_area: Area of the rectangle, share of the tile.
    """

    flip: bool = False
    quarter_turns: bool = False
    rotation_deg: float = 0.0
    scale: Sequence[float] = (1.0, 1.0)
    translate: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    blur_probability: float = 0.0
    blur_sigma_px: Sequence[float] = (0.4, 1.2)
    noise_std: float = 0.0
    jpeg_probability: float = 0.0
    jpeg_quality: Sequence[float] = (50.0, 95.0)
    shadow_probability: float = 0.0
    shadow_depth: Sequence[float] = (0.2, 0.5)
    erasing_probability: float = 0.0
    erasing_area: Sequence[float] = (0.02, 0.08)

    def __call__(self, images: Tensor, index: Tensor, *, seed: int, epoch: int) -> Tensor:
        """Augment a batch.

        Args:
            images: uint8 ``(N, 3, H, W)``; not changed.
            index: Rows in the TileTable, int64 ``(N,)``.
            seed: The run's seed.
            epoch: The epoch, from 0.

        Returns:
            float32 ``(N, 3, H, W)`` in ``[0, 1]``; ``images / 255`` when everything is off. The draws are the
            same on every device, the pixels are the same to the bit on devices of one kind.
        """
        draws = _draw_all(index, seed=seed, epoch=epoch)
        return self._finished(
            self._viewed(images, draws), images, draws, hash_key(seed, epoch, index.cpu(), Draw.NOISE)
        )

    def with_masks(
        self, images: Tensor, masks: Tensor, index: Tensor, *, seed: int, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Augment a batch and its masks, which get the same geometry and erasing.

        Args:
            images: uint8 ``(N, 3, H, W)``; not changed.
            masks: Coverage by cracks, uint8 ``(N, 1, H, W)``; not changed.
            index: Rows in the TileTable, int64 ``(N,)``.
            seed: The run's seed.
            epoch: The epoch, from 0.

        Returns:
            The images as :meth:`__call__` gives them, and the masks, float32 ``(N, 1, H, W)`` in ``[0, 1]``.
        """
        draws = _draw_all(index, seed=seed, epoch=epoch)
        viewed = self._viewed(torch.cat([images, masks], dim=1), draws)
        tiles, moved = viewed[:, :3].contiguous(), viewed[:, 3:].contiguous()
        nothing = torch.zeros(len(images), 1, device=images.device)
        key = hash_key(seed, epoch, index.cpu(), Draw.NOISE)
        return self._finished(tiles, images, draws, key), self._erased(moved, nothing, draws)

    def _viewed(self, images: Tensor, draws: dict[Draw, Tensor]) -> Tensor:
        return self._warped(self._flipped(images, draws).to(torch.float32) / 255, draws)

    def _finished(self, tiles: Tensor, images: Tensor, draws: dict[Draw, Tensor], noise: Tensor) -> Tensor:
        """Apply the photometric transforms to warped tiles, given the original images and the noise keys."""
        needs_means = self._recolours or self.erasing_probability > 0
        means = photometry.channel_means(images) if needs_means else torch.empty(0)
        tiles = self._shaded(self._erased(tiles, means, draws), draws)
        tiles = self._blurred(self._recoloured(tiles, means, draws), draws)
        if self.noise_std > 0:
            std = self.noise_std * draws[Draw.NOISE_STD]
            tiles = photometry.add_noise(tiles, noise, std)
        return self._compressed(tiles, draws)

    @property
    def _recolours(self) -> bool:
        return any((self.brightness, self.contrast, self.saturation, self.hue))

    def _flipped(self, images: Tensor, draws: dict[Draw, Tensor]) -> Tensor:
        turns = (4 * draws[Draw.QUARTER_TURN]).long() * self.quarter_turns
        if images.shape[2] != images.shape[3]:
            turns = turns - turns % 2
        flipped = [self.flip & (draws[draw] < 0.5) for draw in (Draw.FLIP_HORIZONTAL, Draw.FLIP_VERTICAL)]
        # A quarter turn is a transposition and one flip, a half turn both flips.
        return geometry.flip_and_transpose(
            images,
            transpose=turns % 2 == 1,
            horizontal=flipped[0] ^ (turns >= 2),
            vertical=flipped[1] ^ ((turns == 1) | (turns == 2)),
        )

    def _warped(self, tiles: Tensor, draws: dict[Draw, Tensor]) -> Tensor:
        if not self.rotation_deg and not self.translate and tuple(self.scale) == (1, 1):
            return tiles
        return geometry.warp(
            tiles,
            angle_deg=_around(draws[Draw.ROTATION], 0, self.rotation_deg),
            zoom=_between(draws[Draw.SCALE], self.scale),
            shift_x=_around(draws[Draw.TRANSLATE_X], 0, self.translate),
            shift_y=_around(draws[Draw.TRANSLATE_Y], 0, self.translate),
        )

    def _erased(self, tiles: Tensor, means: Tensor, draws: dict[Draw, Tensor]) -> Tensor:
        def erase(chosen: Tensor, rows: Tensor) -> Tensor:
            return photometry.erase(
                chosen,
                means[rows.to(means.device)],
                area=_between(draws[Draw.ERASING_AREA][rows], self.erasing_area),
                aspect=_between(draws[Draw.ERASING_ASPECT][rows], (0.5, 2)),
                x=draws[Draw.ERASING_X][rows],
                y=draws[Draw.ERASING_Y][rows],
            )

        return _apply_where(tiles, draws[Draw.ERASING] < self.erasing_probability, erase)

    def _shaded(self, tiles: Tensor, draws: dict[Draw, Tensor]) -> Tensor:
        def shade(chosen: Tensor, rows: Tensor) -> Tensor:
            return photometry.cast_shadow(
                chosen,
                angle_deg=360 * draws[Draw.SHADOW_ANGLE][rows],
                offset=_between(draws[Draw.SHADOW_OFFSET][rows], (-0.7, 0.7)),
                softness=_between(draws[Draw.SHADOW_SOFTNESS][rows], (0.03, 0.5)),
                depth=_between(draws[Draw.SHADOW_DEPTH][rows], self.shadow_depth),
            )

        return _apply_where(tiles, draws[Draw.SHADOW] < self.shadow_probability, shade)

    def _recoloured(self, tiles: Tensor, means: Tensor, draws: dict[Draw, Tensor]) -> Tensor:
        if not self._recolours:
            return tiles
        return photometry.recolour(
            tiles,
            means,
            brightness=_around(draws[Draw.BRIGHTNESS], 1, self.brightness),
            contrast=_around(draws[Draw.CONTRAST], 1, self.contrast),
            saturation=_around(draws[Draw.SATURATION], 1, self.saturation),
            hue=_around(draws[Draw.HUE], 0, self.hue),
        )

    def _blurred(self, tiles: Tensor, draws: dict[Draw, Tensor]) -> Tensor:
        radius = math.ceil(3 * self.blur_sigma_px[1])

        def blur(chosen: Tensor, rows: Tensor) -> Tensor:
            sigma_px = _between(draws[Draw.BLUR_SIGMA][rows], self.blur_sigma_px)
            return photometry.blur(chosen, sigma_px, radius=radius)

        return _apply_where(tiles, draws[Draw.BLUR] < self.blur_probability, blur)

    def _compressed(self, tiles: Tensor, draws: dict[Draw, Tensor]) -> Tensor:
        def compress(chosen: Tensor, rows: Tensor) -> Tensor:
            quality = _between(draws[Draw.JPEG_QUALITY][rows], self.jpeg_quality).round().long()
            return photometry.compress(chosen, quality)

        return _apply_where(tiles, draws[Draw.JPEG] < self.jpeg_probability, compress)


def _draw_all(index: Tensor, *, seed: int, epoch: int) -> dict[Draw, Tensor]:
    numbers = torch.arange(len(Draw)).unsqueeze(1)
    return dict(zip(Draw, uniform(seed, epoch, index.cpu(), numbers), strict=True))


def _between(draw: Tensor, limits: Sequence[float]) -> Tensor:
    return limits[0] + draw * (limits[1] - limits[0])


def _around(draw: Tensor, middle: float, reach: float) -> Tensor:
    return (2 * draw - 1) * reach + middle


def _apply_where(tiles: Tensor, chosen: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Replace the tiles selected by ``chosen``, bool ``(N,)``, by ``change(tiles, rows)`` in place."""
    rows = chosen.nonzero().flatten()
    if not len(rows):
        return tiles
    places = rows.to(tiles.device)
    tiles[places] = change(tiles.index_select(0, places), rows)
    return tiles
