"""Photometric transforms of tiles, float32 in ``[0, 1]``: colour, shadow, erasing, blur, noise, JPEG.

As in ``geometry``, rounding must depend neither on the batch nor on the number of threads: no matrix
product, no convolution, and sums over pixels of integers only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from crack_lightning.data.transforms.counter_rng import pixel_noise
from crack_lightning.data.transforms.geometry import centres, direction

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Luma weights and the quarter turn of hue: W3C Filter Effects, feColorMatrix saturate and hueRotate.
_LUMA = (0.213, 0.715, 0.072)
_QUARTER_HUE = ((-0.213, -0.715, 0.928), (0.143, 0.140, -0.283), (-0.787, 0.715, 0.072))


def channel_means(images: Tensor) -> Tensor:
    """Return a tile's mean colour in ``[0, 1]``, float32 ``(N, 3)``, from uint8 ``(N, 3, H, W)``."""
    height, width = images.shape[2:]
    # Sums of at most 255 * W fit in int32, whose sum is faster than int64's.
    sums = images.sum(3, dtype=torch.int32).sum(2, dtype=torch.int64)
    return sums.to(torch.float32) / (255 * height * width)


def recolour(
    images: Tensor, means: Tensor, *, brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor
) -> Tensor:
    """Change brightness, contrast about the tile's mean luma, saturation and hue: one affine map of RGB.

    Args:
        images: float32 ``(N, 3, H, W)``.
        means: Mean colours, float32 ``(N, 3)``.
        brightness: Factor, float32 ``(N,)``, ``1`` for no change, as for contrast and saturation.
        contrast: Factor, float32 ``(N,)``.
        saturation: Factor, float32 ``(N,)``; ``0`` gives grey.
        hue: Share of a full turn, float32 ``(N,)``, ``0`` for no change.

    Returns:
        float32 ``(N, 3, H, W)``, clamped to ``[0, 1]``.
    """
    cosine, sine = (saturation * part for part in direction(360 * hue))
    luma = torch.tensor(_LUMA).expand(3, 3)
    chroma = torch.eye(3) - luma
    turned = torch.tensor(_QUARTER_HUE)
    matrix = luma + cosine.view(-1, 1, 1) * chroma + sine.view(-1, 1, 1) * turned
    matrix = (matrix * (brightness * contrast).view(-1, 1, 1)).to(images.device)[..., None, None]
    weights = [means[:, channel] * weight for channel, weight in enumerate(_LUMA)]
    offset = (brightness - brightness * contrast).to(images.device) * (weights[0] + weights[1] + weights[2])
    changed = images[:, 0:1] * matrix[:, :, 0]
    changed += images[:, 1:2] * matrix[:, :, 1]
    changed += images[:, 2:3] * matrix[:, :, 2]
    changed += offset.view(-1, 1, 1, 1)
    return changed.clamp_(0, 1)


def cast_shadow(
    images: Tensor, *, angle_deg: Tensor, offset: Tensor, softness: Tensor, depth: Tensor
) -> Tensor:
    """Darken one side of a straight, soft edge.

    Args:
        images: float32 ``(N, C, H, W)``.
        angle_deg: Direction of the dark side, float32 ``(N,)``, degrees.
        offset: Distance of the edge from the centre in half tiles, float32 ``(N,)``.
        softness: Half width of the edge in half tiles, float32 ``(N,)``, ``> 0``.
        depth: Share of the light that the dark side loses, float32 ``(N,)``.

    Returns:
        float32 ``(N, C, H, W)``.
    """
    height, width = images.shape[2:]
    cosine, sine = direction(angle_deg)
    scale = 2 * softness
    across = (cosine / scale).to(images.device).unsqueeze(1) * centres(width, images.device)
    down = (sine / scale).to(images.device).unsqueeze(1) * centres(height, images.device)
    down += (0.5 - offset / scale).to(images.device).unsqueeze(1)
    ramp = (across.unsqueeze(1) + down.unsqueeze(2)).clamp_(0, 1).unsqueeze(1)
    dark = ramp * ramp * (3 - 2 * ramp)
    return images * (1 - depth.to(images.device).view(-1, 1, 1, 1) * dark)


def erase(images: Tensor, fill: Tensor, *, area: Tensor, aspect: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Cover a rectangle with one colour.

    Args:
        images: float32 ``(N, C, H, W)``.
        fill: Colour, float32 ``(N, C)``.
        area: Share of the tile, float32 ``(N,)``.
        aspect: Width over height in shares of the tile, float32 ``(N,)``.
        x: Place between the leftmost (0) and the rightmost (1) that fits, float32 ``(N,)``; likewise ``y``.
        y: Place between top and bottom, float32 ``(N,)``.

    Returns:
        float32 ``(N, C, H, W)``.

    References:
        Zhong et al., "Random Erasing Data Augmentation", AAAI 2020; the fill is the tile's mean colour here.
    """
    inside = [
        _within(centres(length, images.device), share.sqrt().clamp(max=1), place)
        for length, share, place in zip(images.shape[2:], (area / aspect, area * aspect), (y, x), strict=True)
    ]
    covered = inside[0].unsqueeze(2) & inside[1].unsqueeze(1)
    return torch.where(covered.unsqueeze(1), fill[..., None, None], images)


def _within(axis: Tensor, share: Tensor, place: Tensor) -> Tensor:
    middle = (2 * place - 1) * (1 - share)
    return (axis - middle.to(axis.device).unsqueeze(1)).abs() < share.to(axis.device).unsqueeze(1)


def blur(images: Tensor, sigma_px: Tensor, *, radius: int) -> Tensor:
    """Blur each tile with a Gaussian of its own, mirrored at the border.

    Args:
        images: float32 ``(N, C, H, W)``.
        sigma_px: Standard deviation in pixels, float32 ``(N,)``, ``> 0``.
        radius: Radius of all kernels, pixels.

    Returns:
        float32 ``(N, C, H, W)``.
    """
    radius = min(radius, min(images.shape[2:]) - 1)
    halves = [[math.exp(-0.5 * (k / sigma) ** 2) for k in range(radius + 1)] for sigma in sigma_px.tolist()]
    kernels = torch.tensor([[weight / (2 * sum(half) - half[0]) for weight in half] for half in halves])
    weights = kernels.to(images.device)[..., None, None, None].unbind(1)
    for axis, padding in ((3, (radius, radius, 0, 0)), (2, (0, 0, radius, radius))):
        length = images.shape[axis]
        padded = functional.pad(images, padding, mode="reflect")
        images = images * weights[0]
        for k in range(1, radius + 1):
            pair = padded.narrow(axis, radius - k, length) + padded.narrow(axis, radius + k, length)
            images += pair.mul_(weights[k])
    return images


def add_noise(images: Tensor, key: Tensor, std: Tensor) -> Tensor:
    """Add independent, nearly normal noise to every value.

    Args:
        images: float32 ``(N, C, H, W)``.
        key: One hash a tile, int64 ``(N,)``.
        std: Standard deviation, float32 ``(N,)``, in the unit of the images.

    Returns:
        float32 ``(N, C, H, W)``, clamped to ``[0, 1]``.
    """
    noise = pixel_noise(key.to(images.device), images[0].numel()).mul_(std.to(images.device).unsqueeze(1))
    return noise.view_as(images).add_(images).clamp_(0, 1)


def compress(images: Tensor, quality: Tensor) -> Tensor:
    """Write each tile as a JPEG and read it back, on the CPU.

    Args:
        images: float32 ``(N, 3, H, W)``.
        quality: JPEG quality, int64 ``(N,)``, 1 to 100.

    Returns:
        float32 ``(N, 3, H, W)`` on the device of ``images``.
    """
    pixels = (images * 255).round_().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    coded = [_recoded(tile, int(q)) for tile, q in zip(pixels, quality.tolist(), strict=True)]
    return torch.from_numpy(np.stack(coded)).permute(0, 3, 1, 2).contiguous().to(images.device) / 255


def _recoded(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    # OpenCV keeps its channels in the order BGR.
    _, file = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), dtype=np.uint8)[:, :, ::-1]
