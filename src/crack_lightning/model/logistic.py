"""The head of a linear probe: multinomial logistic regression on features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

_ROUNDING = 1e-5


@dataclass(frozen=True, kw_only=True)
class StandardisedFeatures:
    """Training features standardised to mean 0 and standard deviation 1.

    Attributes:
        mean: Mean of each feature, float32 ``(D,)``.
        std: Standard deviation of each feature, float32 ``(D,)``; 1 for a constant feature.
        values: Standardised training features, float32 ``(N, D)``.
    """

    mean: Tensor
    std: Tensor
    values: Tensor

    @classmethod
    def of(cls, features: Tensor) -> StandardisedFeatures:
        """Standardise training features, float32 ``(N, D)``."""
        std, mean = torch.std_mean(features, dim=0, correction=0)
        constant = std <= _ROUNDING * mean.abs()
        std = torch.where(constant, torch.ones_like(std), std)
        return cls(mean=mean, std=std, values=(features - mean) / std)


@dataclass(frozen=True, kw_only=True)
class LogisticHead:
    """A fitted head for standardised features: weight float32 ``(K, D)``, bias float32 ``(K,)``."""

    weight: Tensor
    bias: Tensor

    def put_into(self, layer: nn.Linear, scale: StandardisedFeatures) -> None:
        """Copy the head into a linear layer that takes unstandardised features."""
        weight = self.weight / scale.std
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(self.bias - weight @ scale.mean)


def fit_logistic(
    features: Tensor,
    labels: Tensor,
    *,
    num_classes: int,
    l2: float,
    class_weights: Tensor | None = None,
    start: LogisticHead | None = None,
    max_iterations: int = 200,
) -> LogisticHead:
    """Minimise the mean cross entropy plus ``l2 / 2`` times the squared norm of the weights, by L-BFGS.

    Args:
        features: Standardised, float32 ``(N, D)``.
        labels: Classes in ``[0, K)``, int64 ``(N,)``.
        num_classes: K.
        l2: Strength of the penalty, ``> 0``; the bias is not penalised.
        class_weights: Weight of each class, ``> 0``, float ``(K,)``; the mean is weighted by them.
        start: Initial head; zeros by default.
        max_iterations: Largest number of iterations.

    References:
        Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989.
    """
    if start is None:
        zeros = torch.zeros((num_classes, features.shape[1] + 1))
        start = LogisticHead(weight=zeros[:, :-1], bias=zeros[:, -1])
    weight = start.weight.clone().requires_grad_()
    bias = start.bias.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=max_iterations,
        tolerance_grad=1e-6,
        tolerance_change=1e-8,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        cost = F.cross_entropy(F.linear(features, weight, bias), labels, weight=class_weights)
        cost = cost + l2 / 2 * weight.square().sum()
        cost.backward()  # type: ignore[no-untyped-call]
        return cost

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return LogisticHead(weight=weight.detach(), bias=bias.detach())


def fit_layer(
    layer: nn.Linear,
    features: Tensor,
    labels: Tensor,
    *,
    penalties: Sequence[float],
    class_weights: Tensor | None,
    max_iterations: int,
    validate: Callable[[], tuple[float, float]],
) -> list[dict[str, float]]:
    """Fit a linear layer with each L2 penalty, and keep the fit with the lowest validation loss.

    Args:
        layer: From D features to K classes, changed in place.
        features: Of training tiles, float32 ``(N, D)``.
        labels: As for :func:`fit_logistic`.
        penalties: L2 penalties; each fit starts from the previous one.
        class_weights: As for :func:`fit_logistic`.
        max_iterations: As for :func:`fit_logistic`.
        validate: Returns loss and accuracy of the layer on validation tiles.

    Returns:
        ``l2``, ``val/loss`` and ``val/accuracy`` of each penalty.
    """
    scale = StandardisedFeatures.of(features)
    head, best, least, tried = None, None, math.inf, []
    for l2 in penalties:
        head = fit_logistic(
            scale.values,
            labels,
            num_classes=layer.out_features,
            l2=l2,
            class_weights=class_weights,
            start=head,
            max_iterations=max_iterations,
        )
        head.put_into(layer, scale)
        loss, accuracy = validate()
        if loss < least:
            best, least = head, loss
        tried.append({"l2": l2, "val/loss": loss, "val/accuracy": accuracy})
    assert best is not None, penalties
    best.put_into(layer, scale)
    return tried
