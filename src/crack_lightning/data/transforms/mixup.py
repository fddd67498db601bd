"""MixUp and CutMix: a training batch blended with a shuffle of itself."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def mix_batch(
    images: Tensor,
    targets: Tensor,
    *,
    num_classes: int,
    mixup_alpha: float = 0.0,
    cutmix_alpha: float = 0.0,
    probability: float = 1.0,
    seed: int,
    step: int,
) -> tuple[Tensor, Tensor]:
    """Apply MixUp or CutMix to a batch; the draws depend on (seed, step) alone.

    Args:
        images: float32 ``(N, 3, H, W)``; never changed in place.
        targets: Class indices in ``[0, K)``, int64 ``(N,)``.
        num_classes: K.
        mixup_alpha: Both parameters of MixUp's beta distribution; ``0`` is off.
        cutmix_alpha: The same for CutMix; where both are on, a batch gets either with equal probability.
        probability: Share of the batches that are mixed.
        seed: The run's seed; its lowest 64 bits count.
        step: The global step, ``>= 0``.

    Returns:
        The images ``(N, 3, H, W)`` and the share of each class, float32 ``(N, K)``, rows summing to 1.

    References:
        Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018;
        Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers", ICCV 2019.
    """
    shares = functional.one_hot(targets, num_classes).to(torch.float32)
    alphas = [alpha for alpha in (mixup_alpha, cutmix_alpha) if alpha > 0]
    rng = np.random.default_rng((seed % 2**64, step))
    if not alphas or rng.random() >= probability:
        return images, shares
    use_cutmix = cutmix_alpha > 0 and (mixup_alpha <= 0 or rng.random() < 0.5)
    alpha = cutmix_alpha if use_cutmix else mixup_alpha
    lam = float(rng.beta(alpha, alpha))
    partner = torch.from_numpy(rng.permutation(len(images))).to(images.device)
    if use_cutmix:
        images, lam = _paste(images, images[partner], lam, rng)
    else:
        images = images * lam + images[partner] * (1 - lam)
    return images, shares * lam + shares[partner] * (1 - lam)


def _paste(images: Tensor, others: Tensor, lam: float, rng: np.random.Generator) -> tuple[Tensor, float]:
    """Paste a box of about ``1 - lam`` of the area, clipped at the border; return the true ``lam``."""
    height, width = images.shape[2:]
    spans = [_span(length, math.sqrt(1 - lam), rng) for length in (height, width)]
    (top, bottom), (left, right) = spans
    images = images.clone()
    images[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return images, 1 - (bottom - top) * (right - left) / (height * width)


def _span(length: int, share: float, rng: np.random.Generator) -> tuple[int, int]:
    size = int(length * share)
    start = int(rng.integers(length)) - size // 2
    return max(start, 0), min(start + size, length)
