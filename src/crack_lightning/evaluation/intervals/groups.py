"""Intervals for clustered data: errors on tiles of one photo are correlated."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import betaincinv, ndtri, stdtrit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    Figures = Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.float64]]]

CONFIDENCE = 0.95
TAILS = (0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2)
NUM_RESAMPLES = 2000
BOOTSTRAP = "percentiles over 2,000 resamples of the groups (Field and Welsh 2007)"
_PRIOR_CORRELATION = 0.3
_PRIOR_GROUPS = 4
_RESAMPLES_AT_ONCE, _WEIGHTS_AT_ONCE = 100, 10_000_000


class Interval(NamedTuple):
    """Two-sided 95 % limits."""

    low: float
    high: float


def group_codes(group: NDArray[np.str_]) -> NDArray[np.int64]:
    """Number the groups of N tiles from 0, int64 ``(N,)``; each tile of unknown group is its own group.

    Tiles of unknown group come first, in the order of their row numbers as text, then groups by name.
    """
    codes = np.unique(group, return_inverse=True)[1].astype(np.int64)
    unknown = np.flatnonzero(group == "")
    if len(unknown):
        codes += len(unknown) - 1
        codes[unknown[np.argsort(unknown.astype(np.bytes_))]] = np.arange(len(unknown))
    return codes


def effective_size(hit: NDArray[np.bool_], group: NDArray[np.int64]) -> float:
    """Return the effective sample size of N tiles in groups, in ``[1, N]``.

    N is divided by the design effect 1 + (m - 1) r, where m is the group size averaged over tiles and r the
    intraclass correlation of the outcome (analysis of variance; Donner and Klar, "Design and Analysis of
    Cluster Randomization Trials", 2000). It is multiplied by the squared ratio of the normal quantile to
    Student's quantile at G - 1 degrees of freedom (Korn and Graubard, Survey Methodology 1998).

    Few errors give a poor estimate of r. It is therefore averaged with a prior correlation of 0.3: the prior
    weighs as much as four groups, the estimate as much as the groups that have the rarer outcome.

    Args:
        hit: Whether each tile is predicted correctly, bool ``(N,)``, N at least 1.
        group: Group numbers from 0, int64 ``(N,)``.
    """
    sizes = np.bincount(group)
    hits = np.bincount(group, weights=hit)[sizes > 0].astype(np.int64)
    sizes = sizes[sizes > 0]
    number, groups = len(hit), len(sizes)
    typical = float((sizes**2).sum() / number)
    if groups < 2:
        return 1.0
    rarer = hits if 2 * hits.sum() <= number else sizes - hits
    weight = int((rarer > 0).sum())
    correlation = (weight * _correlation(hits, sizes) + _PRIOR_GROUPS * _PRIOR_CORRELATION) / (
        weight + _PRIOR_GROUPS
    )
    quantile = 0.5 + CONFIDENCE / 2
    student = (ndtri(quantile) / stdtrit(groups - 1, quantile)) ** 2 if typical > 1 else 1.0
    return float(max(1.0, number / (1 + (typical - 1) * correlation) * student))


def _correlation(hits: NDArray[np.int64], sizes: NDArray[np.int64]) -> float:
    """Return the intraclass correlation by analysis of variance, in ``[0, 1]``."""
    number, groups = int(sizes.sum()), len(sizes)
    if number == groups:
        return 0.0
    share = hits / sizes
    between = float((sizes * (share - hits.sum() / number) ** 2).sum()) / (groups - 1)
    within = float((sizes * share * (1 - share)).sum()) / (number - groups)
    size = (number - float((sizes**2).sum()) / number) / (groups - 1)
    whole = between + (size - 1) * within
    return float(np.clip((between - within) / whole, 0, 1)) if whole > 0 else 0.0


def proportion_interval(hit: NDArray[np.bool_], group: NDArray[np.int64]) -> Interval:
    """Return Wilson's interval of a proportion on its effective sample size.

    Args:
        hit: Outcomes, bool ``(N,)``, N at least 1.
        group: Group numbers from 0, int64 ``(N,)``.

    References:
        Wilson, JASA 1927; on clustered data Korn and Graubard, Survey Methodology 1998.
    """
    return wilson_interval(float(hit.mean()), effective_size(hit, group))


def wilson_interval(share: float, size: float) -> Interval:
    """Return Wilson's interval of a proportion in ``[0, 1]`` for a sample size of at least 1."""
    z = float(ndtri(0.5 + CONFIDENCE / 2))
    middle = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * float(np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2)))
    return Interval(
        0.0 if share == 0 else max(0.0, middle - half), 1.0 if share == 1 else min(1.0, middle + half)
    )


def lower_bound(hit: NDArray[np.bool_], group: NDArray[np.int64]) -> float:
    """Return the one-sided 95 % lower bound of a proportion, exact on its effective sample size.

    Args:
        hit: Outcomes, bool ``(N,)``, N at least 1.
        group: Group numbers from 0, int64 ``(N,)``.

    References:
        Clopper and Pearson, Biometrika 1934; Korn and Graubard, Survey Methodology 1998.
    """
    size = effective_size(hit, group)
    hits = float(hit.mean()) * size
    return float(betaincinv(hits, size - hits + 1, 1 - CONFIDENCE)) if hits > 0 else 0.0


def few_groups_factor(groups: int) -> float:
    """Return the factor by which bootstrap limits of G groups, at least 2, are too close to the estimate.

    Student's quantile at G - 1 degrees of freedom over the normal one, times the square root of G / (G - 1).

    References:
        Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 2015.
    """
    quantile = 0.5 + CONFIDENCE / 2
    student = float(stdtrit(groups - 1, quantile) / ndtri(quantile))
    return student * float(np.sqrt(groups / (groups - 1)))


def percentiles(values: NDArray[np.float64]) -> Interval | None:
    """Return the percentile interval of resampled values without NaN; ``None`` if all are NaN."""
    return None if np.isnan(values).all() else Interval(*np.nanquantile(values, TAILS).tolist())


def resampled(figures: Figures, group: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Return metrics of 2,000 bootstrap samples of the groups.

    Args:
        figures: Computes metrics by name, float ``(R,)``, from the counts of G groups in R resamples,
            float ``(R, G)``; a tile has the weight of its group.
        group: Group numbers from 0, int64 ``(N,)``.

    Returns:
        Metrics by name, float ``(2000,)``.

    References:
        Field and Welsh, "Bootstrapping clustered data", JRSS B 2007.
    """
    by_name: dict[str, list[NDArray[np.float64]]] = {}
    for counts in resampled_counts(int(group.max()) + 1, tiles=len(group)):
        for name, values in figures(counts).items():
            by_name.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in by_name.items()}


def resampled_counts(groups: int, *, tiles: int) -> Iterator[NDArray[np.float64]]:
    """Yield the counts of G groups in 2,000 resamples, in blocks of R, ``(R, G)``.

    R is 100, or fewer so that the weights of the tiles, ``(R, tiles)``, stay below 80 MB.
    """
    rng = np.random.default_rng(0)
    rows = min(_RESAMPLES_AT_ONCE, max(1, _WEIGHTS_AT_ONCE // tiles))
    for start in range(0, NUM_RESAMPLES, rows):
        number = min(rows, NUM_RESAMPLES - start)
        drawn = rng.integers(0, groups, (number, groups))
        drawn += groups * np.arange(number)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=groups * number)
        yield counts.reshape(number, groups).astype(np.float64)
