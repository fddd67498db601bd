"""Losses of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence


def focal_loss(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, class_weights: Tensor | None = None
) -> Tensor:
    """Return the mean focal loss, which down-weights well classified tiles.

    Args:
        logits: Unnormalised scores, float ``(N, K)``.
        targets: Class indices in ``[0, K)``, int64 ``(N,)``.
        gamma: Focusing strength, dimensionless, ``>= 0``; ``0`` gives cross entropy.
        class_weights: Weight of each class, ``> 0``, float ``(K,)``; the mean is weighted by them.

    Returns:
        Mean loss over the batch in nats, float scalar ``()``.

    Raises:
        ValueError: If ``gamma`` is negative.

    References:
        Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.
    """
    if gamma < 0:
        raise ValueError(f"Expected `gamma` to be at least 0 but got {gamma}.")
    log_p = F.log_softmax(logits, dim=1).gather(1, targets[:, None])[:, 0]
    # 1 - p, clamped away from 0, where the power has no finite gradient for gamma below 1
    complement = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).eps)
    losses = -(complement**gamma) * log_p
    if class_weights is None:
        return losses.mean()
    weights = class_weights[targets]
    return (weights * losses).sum() / weights.sum()


class CrackLoss(nn.Module):
    """The loss of a batch; class weights follow the model to its device but stay out of its state.

    Args:
        name: ``cross_entropy`` or ``focal``.
        label_smoothing: Share of each target that is spread over all classes, in ``[0, 1)``; not focal.
        focal_gamma: Focusing strength of the focal loss, at least 0.
        class_weights: Weight of each class, K of them, or ``None`` for equal ones.
        soft_targets: Whether targets are probabilities ``(N, K)``, as MixUp and CutMix make them.

    Raises:
        ConfigError: If the name is unknown, a value is out of range, or the focal loss lacks the option.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        *,
        name: str,
        label_smoothing: float = 0.0,
        focal_gamma: float = 2.0,
        class_weights: Sequence[float] | None = None,
        soft_targets: bool = False,
    ) -> None:
        _check(name, label_smoothing=label_smoothing, focal_gamma=focal_gamma, soft_targets=soft_targets)
        super().__init__()
        self.name = name
        self.label_smoothing = label_smoothing
        self.focal_gamma = focal_gamma
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss in nats, float32 ``()``.

        Args:
            logits: Unnormalised scores, float ``(N, K)``.
            targets: Class indices, int64 ``(N,)``; cross entropy also takes probabilities, float ``(N, K)``.
        """
        logits = logits.float()
        if self.name == "focal":
            return focal_loss(logits, targets, gamma=self.focal_gamma, class_weights=self.class_weights)
        return F.cross_entropy(
            logits, targets, weight=self.class_weights, label_smoothing=self.label_smoothing
        )


def _check(name: str, *, label_smoothing: float, focal_gamma: float, soft_targets: bool) -> None:
    if name not in ("cross_entropy", "focal"):
        raise ConfigError(
            f"recipe.loss.name: 'cross_entropy' or 'focal' is expected, got '{name}'; set either."
        )
    if not 0 <= label_smoothing < 1:
        raise ConfigError(
            f"recipe.loss.label_smoothing: a share in [0, 1) is expected, got {label_smoothing}; set 0.1."
        )
    if focal_gamma < 0:
        raise ConfigError(
            f"recipe.loss.focal_gamma: at least 0 is expected, got {focal_gamma}; set 2.0, say."
        )
    if name == "focal" and soft_targets:
        raise ConfigError(
            "recipe.loss.name: 'focal' expects one class per tile, got mixed labels (MixUp, CutMix); "
            "set recipe.loss.name=cross_entropy, or disable mixing."
        )
    if name == "focal" and label_smoothing:
        raise ConfigError(
            f"recipe.loss.label_smoothing: 0 is expected with the focal loss, got {label_smoothing}; "
            "set recipe.loss.name=cross_entropy, or recipe.loss.label_smoothing=0."
        )


def balanced_class_weights(counts: Sequence[int]) -> list[float]:
    """Return ``N / (K n_k)`` for each class: rare classes weigh more, the average tile weighs 1.

    Args:
        counts: Training tiles of each class, K of them.

    Raises:
        ConfigError: If a class has no tile.

    Examples:
        >>> balanced_class_weights([30, 10])
        [0.6666666666666666, 2.0]
    """
    if not counts or min(counts) < 1:
        raise ConfigError(
            "recipe.loss.class_weights: 'balanced' expects a training tile of every class, "
            f"got {list(counts)} tiles; set recipe.loss.class_weights=none or add tiles."
        )
    return [sum(counts) / (len(counts) * count) for count in counts]
