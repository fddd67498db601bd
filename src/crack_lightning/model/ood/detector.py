"""How unlike the training tiles a tile is: how far the nearest of them look, and are to the network."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import normalize

from crack_lightning.model.ood.image_statistics import NUM_STATISTICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

PASSED = 0.99
"""Share of validation tiles that the limit passes."""

PASSED_EACH = 0.995
"""Share that the scale of each of two distances passes, so that both together spend what the limit may."""

LARGEST_SAMPLE = 1000
"""Training tiles that are kept at the most."""

MOST_COMPARED = 8192
"""Tiles whose distances to the training tiles are held at once."""

NEIGHBOUR = 5
"""Which of the nearest training tiles counts, so that a single odd one makes no picture familiar."""

_LEAST_VARIANCE = 0.02  # of standardised looks; less is noise
_SMALLEST = 1e-6


@dataclass(frozen=True, kw_only=True)
class OODDetector:
    """Training tiles that others are compared with, and the limit from which on a tile is foreign.

    Two distances count, the larger as a share of what validation tiles have: Mahalanobis' between looks,
    which tells foreign pictures even where a network learnt two classes and nothing else; and between
    directions of features, which tells them where it was pretrained.

    Attributes:
        looks: Of training tiles, whitened, float16 ``(M, NUM_LOOKS)``.
        mean: Of their looks, float32 ``(NUM_LOOKS,)``.
        whitening: What looks are multiplied by, float32 ``(NUM_LOOKS, NUM_LOOKS)``.
        directions: Of their features, float16 ``(M, D)``, of length 1; D is 0 where there are no features.
        scales: What 99.5 % of validation tiles' distances pass, between looks and between directions.
        limit: The largest share of these that is familiar.
        validation_tiles: How many tiles set scales and limit.

    References:
        Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML 2022.
    """

    looks: Tensor
    mean: Tensor
    whitening: Tensor
    directions: Tensor
    scales: list[float]
    limit: float
    validation_tiles: int

    def __post_init__(self) -> None:
        number = len(self.looks)
        shapes = [tuple(part.shape) for part in (self.looks, self.whitening, self.mean)]
        if shapes != [(number, NUM_STATISTICS), (NUM_STATISTICS, NUM_STATISTICS), (NUM_STATISTICS,)]:
            raise ValueError(f"novelty: {NUM_STATISTICS} looks a tile are expected, got {shapes}")
        if len(self.directions) != number:
            raise ValueError(f"novelty: {number} directions are expected, got {len(self.directions)}")

    @classmethod
    def fitted(cls, training: Tensor, validation: Tensor) -> OODDetector:
        """Keep training tiles, and set the limit by validation tiles.

        Args:
            training: Looks with features behind them, float32 ``(M, NUM_LOOKS + D)``.
            validation: Likewise, of tiles that the model did not learn from, float32 ``(N, NUM_LOOKS + D)``.
        """
        compared = cls.comparing(training)
        return compared.limited(compared.distances(validation))

    @classmethod
    def comparing(cls, training: Tensor) -> OODDetector:
        """Keep training tiles, float32 ``(M, NUM_LOOKS + D)``, without a limit yet."""
        looks = training[:, :NUM_STATISTICS]
        mean, whitening = looks.mean(0), _whitening(looks)
        return cls(
            looks=((looks - mean) @ whitening).half(),
            mean=mean,
            whitening=whitening,
            directions=normalize(training[:, NUM_STATISTICS:], dim=1).half(),
            scales=[1.0, 1.0],
            limit=1.0,
            validation_tiles=0,
        )

    def limited(self, distances: Sequence[Tensor]) -> OODDetector:
        """Return the same with the limit that validation tiles set by their :meth:`distances`."""
        scales = [conformal_limit(far, passed=PASSED_EACH) for far in distances]
        limit = conformal_limit(_largest_share(distances, scales))
        return replace(self, scales=scales, limit=limit, validation_tiles=len(distances[0]))

    def of(self, signs: Tensor) -> Tensor:
        """Return how unlike the training tiles others are; beyond 1 they are foreign.

        Args:
            signs: Looks with features behind them, float32 ``(N, NUM_LOOKS + D)``.

        Returns:
            Novelty, float32 ``(N,)``.
        """
        return _largest_share(self.distances(signs), self.scales) / self.limit

    def distances(self, signs: Tensor) -> list[Tensor]:
        """Return distances to the fifth nearest training tile: of looks, and of directions if there are.

        Those of ``MOST_COMPARED`` tiles are computed at once, so that memory is bounded for any number.

        Args:
            signs: As for :meth:`of`.

        Returns:
            Distances, float32 ``(N,)`` each.
        """
        parts = [self._distances(part) for part in torch.split(signs, MOST_COMPARED)]
        return [torch.cat(column) for column in zip(*parts, strict=True)]

    def _distances(self, signs: Tensor) -> list[Tensor]:
        looks = (signs[:, :NUM_STATISTICS] - self.mean) @ self.whitening
        found = [_neighbour(torch.cdist(looks, self.looks.float()))]
        if self.directions.shape[1]:
            cosines = normalize(signs[:, NUM_STATISTICS:], dim=1) @ self._units
            found.append((2 * _neighbour(1 - cosines)).clamp(min=0).sqrt())
        return found

    @cached_property
    def _units(self) -> Tensor:
        """Directions as they are compared, float32 ``(D, M)``: turning them takes longer than comparing."""
        return normalize(self.directions.float(), dim=1).T

    def values(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: the attributes by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def facts(self) -> dict[str, float]:
        """Return what a report says of it."""
        return {
            "training_tiles": len(self.looks),
            "validation_tiles": self.validation_tiles,
            "passes": min(PASSED, self.validation_tiles / (self.validation_tiles + 1)),
        }


def _largest_share(distances: Sequence[Tensor], scales: Sequence[float]) -> Tensor:
    """Return the largest of the distances of each tile as shares of their scales, float32 ``(N,)``."""
    return torch.stack([far / scale for far, scale in zip(distances, scales, strict=True)]).amax(0)


def _whitening(looks: Tensor) -> Tensor:
    """Return what makes looks, float32 ``(M, F)``, uncorrelated with variance 1; small ones stay smaller."""
    deviation = looks.std(0, correction=0).clamp(min=_SMALLEST)
    standardised = (looks - looks.mean(0)) / deviation
    variance, axes = torch.linalg.eigh(standardised.T @ standardised / len(looks))
    whitening: Tensor = axes / deviation[:, None] / variance.clamp(min=_LEAST_VARIANCE).sqrt()
    return whitening


def _neighbour(distances: Tensor) -> Tensor:
    """Return the fifth smallest of each row, or the largest of fewer; ``(N, M)`` to ``(N,)``."""
    nearest: Tensor = distances.kthvalue(min(NEIGHBOUR, distances.shape[1]), dim=1).values
    return nearest


def conformal_limit(validation: Tensor, *, passed: float = PASSED) -> float:
    """Return a limit that a new tile of the validation tiles' kind passes with a probability of 99 % or more.

    It is the ``ceil(0.99 (N + 1))``-th smallest distance, which holds for exchangeable tiles whatever their
    distribution; of fewer than 99 tiles it is the largest, which a new one passes with ``N / (N + 1)``.

    Args:
        validation: Distances of N tiles, float32 ``(N,)``.
        passed: Another probability.

    References:
        Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005, section 2.2.
    """
    number = len(validation)
    rank = min(int(np.ceil(passed * (number + 1))), number)
    return max(float(validation.sort().values[rank - 1]), _SMALLEST)  # what can be divided by


def sample(rows: NDArray[np.int64], *, seed: int) -> NDArray[np.int64]:
    """Return rows of training tiles to keep, ascending, int64 ``(M,)``, at most ``LARGEST_SAMPLE``."""
    return np.sort(np.random.default_rng(seed).permutation(rows)[:LARGEST_SAMPLE])
