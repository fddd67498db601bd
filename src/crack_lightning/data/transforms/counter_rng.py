"""Counter-based random numbers: a hash of (seed, epoch, tile, draw number), with no generator state."""

from __future__ import annotations

import math
from enum import IntEnum

import torch
from torch import Tensor

_WORD = 2**64 - 1
_STEP = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


class Draw(IntEnum):
    """Draw numbers of a tile's random decisions; append only, as other numbers change training."""

    FLIP_HORIZONTAL = 0
    FLIP_VERTICAL = 1
    QUARTER_TURN = 2
    ROTATION = 3
    SCALE = 4
    TRANSLATE_X = 5
    TRANSLATE_Y = 6
    BRIGHTNESS = 7
    CONTRAST = 8
    SATURATION = 9
    HUE = 10
    BLUR = 11
    BLUR_SIGMA = 12
    NOISE_STD = 13
    NOISE = 14
    JPEG = 15
    JPEG_QUALITY = 16
    SHADOW = 17
    SHADOW_ANGLE = 18
    SHADOW_OFFSET = 19
    SHADOW_SOFTNESS = 20
    SHADOW_DEPTH = 21
    ERASING = 22
    ERASING_AREA = 23
    ERASING_ASPECT = 24
    ERASING_X = 25
    ERASING_Y = 26
    PAINT = 27
    PAINTING = 28


def hash_key(seed: int, epoch: int, index: Tensor, draw: int | Tensor) -> Tensor:
    """Hash (seed, epoch, tile, draw number) to 64 well-mixed bits; the same on every device.

    Args:
        seed: Any integer; its lowest 64 bits count.
        epoch: The epoch, from 0.
        index: Rows in the TileTable, int64 ``(N,)``.
        draw: Draw number, int or int64 of a shape that broadcasts with ``index``.

    Returns:
        int64, the broadcast shape of ``index`` and ``draw``, on the device of ``index``.

    References:
        Steele et al., "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014 (SplitMix64's finaliser).
    """
    key = torch.tensor(_signed(seed * _STEP), device=index.device)
    key = _mix(_mix(key) + _signed(epoch * _STEP))
    tile = _mix(key + index * _signed(_STEP))
    number = torch.as_tensor(draw, dtype=torch.int64, device=index.device)
    return _mix(tile + (number + 1) * _signed(_STEP))


def uniform(seed: int, epoch: int, index: Tensor, draw: int | Tensor) -> Tensor:
    """Draw uniformly from ``[0, 1)``; arguments as in :func:`hash_key`, float32 of the same shape.

    >>> uniform(0, 0, torch.tensor([4, 7]), 1)[1] == uniform(0, 0, torch.tensor([7]), 1)[0]
    tensor(True)
    """
    top = _shift_right(hash_key(seed, epoch, index, draw), 40)
    return top.to(torch.float32) * 2.0**-24


def pixel_noise(key: Tensor, num_values: int) -> Tensor:
    """Return approximately normal numbers (a sum of four bytes: mean 0, deviation 1, within 3.46).

    Args:
        key: One hash a tile, int64 ``(N,)``.
        num_values: Numbers a tile.

    Returns:
        float32 ``(N, num_values)``.

    References:
        C. Wellons, "Prospecting for Hash Functions", 2018 (the 32-bit mixing constants).
    """
    counter = torch.arange(num_values, dtype=torch.int32, device=key.device) * _signed(_STEP, 32)
    bits = (key >> 32).to(torch.int32).unsqueeze(1) + counter
    bits.bitwise_xor_((bits >> 16).bitwise_and_(0xFFFF)).mul_(0x7FEB352D)
    bits.bitwise_xor_((bits >> 15).bitwise_and_(0x1FFFF)).mul_(_signed(0x846CA68B, 32))
    bits.bitwise_xor_((bits >> 16).bitwise_and_(0xFFFF))
    pairs = (bits & 0xFF00FF).add_(bits.bitwise_right_shift_(8).bitwise_and_(0xFF00FF))
    total = (pairs & 0xFFFF).add_(pairs.bitwise_right_shift_(16))
    # A byte has mean 127.5 and variance (256^2 - 1) / 12.
    return total.to(torch.float32).sub_(4 * 127.5).div_(math.sqrt(4 * (256**2 - 1) / 12))


def _mix(value: Tensor) -> Tensor:
    value = (value ^ _shift_right(value, 30)) * _signed(_FIRST)
    value = (value ^ _shift_right(value, 27)) * _signed(_SECOND)
    return value ^ _shift_right(value, 31)


def _shift_right(value: Tensor, places: int) -> Tensor:
    # Tensor's own shift keeps the sign, SplitMix64's brings in zeros.
    return (value >> places) & (_WORD >> places)


def _signed(value: int, width: int = 64) -> int:
    value &= 2**width - 1
    return value - 2**width if value >= 2 ** (width - 1) else value
