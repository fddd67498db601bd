"""Out-of-distribution (OOD) detection by the distance to the nearest training tiles."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch.nn.functional import normalize

from crack_lightning.model.ood.image_statistics import NUM_STATISTICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

IN_DISTRIBUTION_RATE = 0.99
"""Share of in-distribution tiles whose OOD score is at most 1."""

RATE_EACH = 0.995
"""Share of in-distribution tiles within the scale of each of the two distances."""

MAX_TRAINING_TILES = 1000
"""Largest number of training tiles that a detector holds."""

MAX_TILES_AT_ONCE = 8192
"""Largest number of tiles whose distances are computed at once."""

K_NEIGHBOUR = 5
"""Distances are to the k-th nearest training tile; the nearest could be an outlier among these."""

_LEAST_VARIANCE = 0.02  # of standardised image statistics; smaller variance is noise
_SMALLEST = 1e-6
_FORMER_NAMES = {"looks": "image_statistics", "directions": "features"}


@dataclass(frozen=True, kw_only=True)
class OODDetector:
    """Training tiles, and the limit of the distance to them.

    Two distances to training tiles are divided by their scales on validation tiles: the Mahalanobis distance
    of image statistics, which works for any network, and the Euclidean distance of features of length 1,
    which works for pretrained networks. The OOD score is the larger quotient, divided by the limit.

    Attributes:
        image_statistics: Image statistics of training tiles, whitened, float16 ``(M, F)``, where F is
            :data:`~crack_lightning.model.ood.image_statistics.NUM_STATISTICS`.
        mean: Their mean before whitening, float32 ``(F,)``.
        whitening: Whitening matrix, float32 ``(F, F)``.
        features: Features of these tiles, float16 ``(M, D)``, of length 1; D is 0 without features.
        scales: The distances, of image statistics and of features, that 99.5 % of validation tiles do not
            exceed.
        limit: The quotient of a distance and its scale above which a tile is out-of-distribution.
        validation_tiles: Number of tiles that determined scales and limit.

    References:
        Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML 2022.
    """

    image_statistics: Tensor
    mean: Tensor
    whitening: Tensor
    features: Tensor
    scales: list[float]
    limit: float
    validation_tiles: int

    def __post_init__(self) -> None:
        number = len(self.image_statistics)
        shapes = [tuple(part.shape) for part in (self.image_statistics, self.whitening, self.mean)]
        if shapes != [(number, NUM_STATISTICS), (NUM_STATISTICS, NUM_STATISTICS), (NUM_STATISTICS,)]:
            raise ValueError(f"ood_detector: expected {NUM_STATISTICS} image statistics a tile, got {shapes}")
        if len(self.features) != number:
            raise ValueError(f"ood_detector: expected features of {number} tiles, got {len(self.features)}")

    @classmethod
    def fit(cls, training: Tensor, validation: Tensor) -> Self:
        """Return a detector with a limit.

        Args:
            training: Image statistics, then features, of training tiles, float32 ``(M, F + D)``.
            validation: The same of tiles without influence on the weights, float32 ``(N, F + D)``.
        """
        detector = cls.from_training(training)
        return detector.with_limit(detector.distances(validation))

    @classmethod
    def from_training(cls, training: Tensor) -> Self:
        """Return a detector without a limit, from training tiles as for :meth:`fit`."""
        statistics = training[:, :NUM_STATISTICS]
        mean, whitening = statistics.mean(0), _whitening(statistics)
        return cls(
            image_statistics=((statistics - mean) @ whitening).half(),
            mean=mean,
            whitening=whitening,
            features=normalize(training[:, NUM_STATISTICS:], dim=1).half(),
            scales=[1.0, 1.0],
            limit=1.0,
            validation_tiles=0,
        )

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Return a detector from its :meth:`values`, those of older checkpoints included.

        Raises:
            ValueError: If there is not one scale for each distance, or a scale or the limit is no number.
        """
        detector = cls(**{_FORMER_NAMES.get(name, name): value for name, value in values.items()})
        num_distances = 1 + (detector.features.shape[1] > 0)
        expected, numbers = num_distances + 1, [*detector.scales, detector.limit]
        if len(numbers) != expected or not all(isinstance(value, int | float) for value in numbers):
            raise ValueError(
                f"ood_detector: expected {expected} numbers (scales, limit), got {repr(numbers)[:80]}"
            )
        return detector

    def with_limit(self, distances: Sequence[Tensor]) -> Self:
        """Return a copy whose limit follows from the :meth:`distances` of validation tiles."""
        scales = [conformal_limit(column, rate=RATE_EACH) for column in distances]
        limit = conformal_limit(_largest_share(distances, scales))
        return replace(self, scales=scales, limit=limit, validation_tiles=len(distances[0]))

    def score(self, inputs: Tensor) -> Tensor:
        """Return the OOD scores of tiles; above 1 a tile is out-of-distribution.

        Args:
            inputs: Image statistics, then features, float32 ``(N, F + D)``.

        Returns:
            Scores, float32 ``(N,)``.
        """
        return _largest_share(self.distances(inputs), self.scales) / self.limit

    def distances(self, inputs: Tensor) -> list[Tensor]:
        """Return the distances to the fifth nearest training tile: of image statistics, and of any features.

        At most ``MAX_TILES_AT_ONCE`` tiles are computed at once, which bounds the memory.

        Args:
            inputs: As for :meth:`score`.

        Returns:
            Distances, float32 ``(N,)`` each.
        """
        parts = [self._distances(part) for part in torch.split(inputs, MAX_TILES_AT_ONCE)]
        return [torch.cat(column) for column in zip(*parts, strict=True)]

    def _distances(self, inputs: Tensor) -> list[Tensor]:
        statistics = (inputs[:, :NUM_STATISTICS] - self.mean) @ self.whitening
        distances = [_kth_smallest(torch.cdist(statistics, self.image_statistics.float()))]
        if self.features.shape[1]:
            cosines = normalize(inputs[:, NUM_STATISTICS:], dim=1) @ self._unit_features
            distances.append((2 * _kth_smallest(1 - cosines)).clamp(min=0).sqrt())
        return distances

    @cached_property
    def _unit_features(self) -> Tensor:
        """Unit features, float32 ``(D, M)``, cached: conversion takes longer than their product."""
        return normalize(self.features.float(), dim=1).T

    def values(self) -> dict[str, Any]:
        """Return the attributes by name, for a checkpoint."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def facts(self) -> dict[str, float]:
        """Return the numbers of tiles and the share of in-distribution tiles within the limit."""
        return {
            "training_tiles": len(self.image_statistics),
            "validation_tiles": self.validation_tiles,
            "passes": min(IN_DISTRIBUTION_RATE, self.validation_tiles / (self.validation_tiles + 1)),
        }


def _largest_share(distances: Sequence[Tensor], scales: Sequence[float]) -> Tensor:
    """Return each tile's larger ratio of distance to scale, float32 ``(N,)``."""
    return torch.stack([column / scale for column, scale in zip(distances, scales, strict=True)]).amax(0)


def _whitening(statistics: Tensor) -> Tensor:
    """Return the matrix after which statistics, float32 ``(M, F)``, are uncorrelated with variance 1.

    Directions of little variance keep a variance below 1.
    """
    deviation = statistics.std(0, correction=0).clamp(min=_SMALLEST)
    standardised = (statistics - statistics.mean(0)) / deviation
    variance, axes = torch.linalg.eigh(standardised.T @ standardised / len(statistics))
    whitening: Tensor = axes / deviation[:, None] / variance.clamp(min=_LEAST_VARIANCE).sqrt()
    return whitening


def _kth_smallest(distances: Tensor) -> Tensor:
    """Return the fifth smallest value of each row, or the largest of fewer; ``(N, M)`` to ``(N,)``."""
    nearest: Tensor = distances.kthvalue(min(K_NEIGHBOUR, distances.shape[1]), dim=1).values
    return nearest


def conformal_limit(distances: Tensor, *, rate: float = IN_DISTRIBUTION_RATE) -> float:
    """Return the limit that a new exchangeable tile's distance does not exceed with a given probability.

    It is the ``ceil(rate (N + 1))``-th smallest distance, whatever their distribution; of too few tiles it is
    the largest, with the rate ``N / (N + 1)``.

    Args:
        distances: Distances of N validation tiles, float32 ``(N,)``.
        rate: Probability, in ``(0, 1)``.

    References:
        Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005, section 2.2.
    """
    number = len(distances)
    rank = min(int(np.ceil(rate * (number + 1))), number)
    return max(float(distances.sort().values[rank - 1]), _SMALLEST)  # a divisor


def sample(rows: NDArray[np.int64], *, seed: int) -> NDArray[np.int64]:
    """Return at most ``MAX_TRAINING_TILES`` random rows, ascending, int64 ``(M,)``."""
    return np.sort(np.random.default_rng(seed).permutation(rows)[:MAX_TRAINING_TILES])
