"""The head of a linear probe: multinomial logistic regression on features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import minimize  # torch's optimizers import its compiler, which takes over a second
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

_ROUNDING = 1e-5
_HISTORY, _LARGEST_GRADIENT, _LEAST_CHANGE = 20, 1e-6, 1e-9


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
        """Standardise training features, float32 ``(N, D)``, in place."""
        std, mean = torch.std_mean(features, dim=0, correction=0)
        constant = std <= _ROUNDING * mean.abs()
        std = torch.where(constant, torch.ones_like(std), std)
        return cls(mean=mean, std=std, values=features.sub_(mean).div_(std))


@dataclass(frozen=True, kw_only=True)
class LogisticHead:
    """A fitted head for standardised features: weight float32 ``(K, D)``, bias float32 ``(K,)``."""

    weight: Tensor
    bias: Tensor

    def values(self) -> NDArray[np.float64]:
        """Return all values, class by class: the weights, then the bias."""
        return torch.cat([self.weight, self.bias[:, None]], dim=1).double().numpy().ravel()

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
    width = features.shape[1]
    weights = torch.ones(len(labels)) if class_weights is None else class_weights[labels]
    shares = (weights / weights.sum())[:, None]
    targets = F.one_hot(labels, num_classes).to(features.dtype)

    def cost_and_gradient(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weight, bias = _parts(values, width)
        log_p = torch.log_softmax(F.linear(features, weight, bias), dim=1)
        residual = (log_p.exp() - targets) * shares
        entropy = -(log_p * targets * shares).sum(dtype=torch.float64)
        cost = float(entropy) + l2 / 2 * float(weight.double().square().sum())
        # column by column, which is twice as fast as one product; a tile's residuals add up to 0
        slopes = torch.stack([column @ features for column in residual.T[:-1].contiguous()])
        slopes = torch.cat([slopes, -slopes.sum(0, keepdim=True)]) + l2 * weight
        gradient = torch.cat([slopes, residual.sum(0)[:, None]], dim=1)
        return cost, gradient.double().numpy().ravel()

    begin = np.zeros(num_classes * (width + 1)) if start is None else start.values()
    options = {
        "maxiter": max_iterations,
        "maxcor": _HISTORY,
        "gtol": _LARGEST_GRADIENT,
        "ftol": _LEAST_CHANGE,
    }
    found = minimize(cost_and_gradient, begin, jac=True, method="L-BFGS-B", options=options)
    weight, bias = _parts(found.x, width)
    return LogisticHead(weight=weight, bias=bias)


def _parts(values: NDArray[np.float64], width: int) -> tuple[Tensor, Tensor]:
    """Return weight, float32 ``(K, D)``, and bias, float32 ``(K,)``, of rows of ``D + 1`` values."""
    rows = torch.from_numpy(values).float().view(-1, width + 1)
    return rows[:, :-1].contiguous(), rows[:, -1].contiguous()


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
        features: Of training tiles, float32 ``(N, D)``; standardised in place.
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
