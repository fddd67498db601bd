"""Paired tests of runs against a reference run on the same test tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.comparison.aggregate import VALIDATION, comparable_tiles
from crack_lightning.comparison.run_results import IncomparableError
from crack_lightning.evaluation.paired_tests import (
    LEAST_PHOTOS,
    difference_intervals,
    holm,
    photo_codes,
    sign_flip_p_value,
)
from crack_lightning.runtime.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from crack_lightning.comparison.run_results import RunResult, TileResults

BEST_TESTED = 20
"""Number of runs that are tested where there are too many to test all."""
MANY_RUNS = 500
"""Number of runs above which only some are tested and pages show tables to filter."""
BY_VALIDATION = "the highest accuracy on validation tiles"
FIRST_LISTED = "order (the first run), as not every run has an accuracy on validation tiles"


def rank_by_validation(runs: Sequence[RunResult]) -> tuple[list[RunResult], str]:
    """Return the runs, best first, by a criterion that uses no test result; and the criterion."""
    if all(VALIDATION in run.validation for run in runs):
        return sorted(runs, key=_validated, reverse=True), BY_VALIDATION
    return list(runs), FIRST_LISTED


def _validated(run: RunResult) -> tuple[float, float]:
    """Return the validation accuracy and, for ties, the negative validation loss."""
    return run.validation[VALIDATION], -run.validation.get("val/loss", np.inf)


def choose_reference(ranked: Sequence[RunResult]) -> tuple[RunResult, TileResults]:
    """Return the first run whose test tiles can be read, and these.

    Raises:
        DataError: If none can.
    """
    reasons: list[str] = []
    for run in ranked:
        try:
            return run, run.tiles()
        except IncomparableError as reason:
            reasons.append(f"'{run.name}': {reason}")
    raise DataError(
        f"runs: no run's predictions can be read ({reasons[0]}); get the folders again, or run evaluate with "
        "each checkpoint."
    )


def choose_tested(
    ranked: Sequence[RunResult], reference: RunResult, names: Sequence[str]
) -> tuple[list[RunResult], str]:
    """Return the runs to test against the reference, and the rule; empty if all are tested.

    Args:
        ranked: All runs, best first.
        reference: The reference run.
        names: Names of the runs to test; if empty, all, or the best of more than ``MANY_RUNS``.

    Raises:
        DataError: If there is no run of such a name.
    """
    others = {run.name: run for run in ranked if run is not reference}
    for name in names:
        if name not in others and name != reference.name:
            match = nearest(name, others)
            hint = f"did you mean '{match}'?" if match else "names are as in comparison.csv."
            raise DataError(f"tested: there is no run '{name}' among the {len(ranked):,} compared; {hint}")
    if names:
        tested = [others[name] for name in dict.fromkeys(names) if name in others]
        return tested, f"Tested against it: the {len(tested)} named of {len(others):,}."
    if len(ranked) <= MANY_RUNS:
        return list(others.values()), ""
    tested = list(others.values())[:BEST_TESTED]
    by_validation = all(VALIDATION in run.validation for run in ranked)
    which = f"the {len(tested)} {'best on validation tiles' if by_validation else 'first'}"
    return tested, f"Tested against it: {which} of {len(others):,}; tested=[name,…] tests others."


def tests_against(
    reference: RunResult, expected: TileResults, others: Sequence[RunResult]
) -> list[dict[str, Any]]:
    """Test each run against the reference with its test tiles.

    Returns:
        One row per run: ``run``, ``against``, and either ``difference`` of the accuracies with ``low``,
        ``high``, ``p`` (sign-flip test over photos) and ``p_adjusted`` (Holm's method), or ``difference`` and
        ``untested``, the reason why there is no p-value, or ``refused``, the reason why they cannot be
        compared.
    """
    codes = photo_codes(expected.group)
    rows: list[dict[str, Any]] = [{"run": run.name, "against": reference.name} for run in others]
    compared, gains = [], []
    for run, row in zip(others, rows, strict=True):
        try:
            tiles = comparable_tiles(run, reference, expected)
        except IncomparableError as reason:
            row["refused"] = str(reason)
            continue
        row["difference"] = float(tiles.right.mean() - expected.right.mean())
        compared.append(row)
        gains.append(_gain(tiles.right, expected.right, codes))
    if why := _too_few_photos(expected.group, codes):
        for row in compared:
            row["untested"] = why
    elif compared:
        limits = difference_intervals(np.stack(gains), np.bincount(codes))
        p_values = [sign_flip_p_value(gain) for gain in gains]
        for row, limit, p_value, adjusted in zip(compared, limits, p_values, holm(p_values), strict=True):
            row |= {"low": limit.low, "high": limit.high, "p": p_value, "p_adjusted": adjusted}
    return rows


def _gain(right: NDArray[np.bool_], other: NDArray[np.bool_], codes: NDArray[np.int64]) -> NDArray[np.int64]:
    difference = right.astype(np.int64) - other
    return np.bincount(codes, weights=difference).astype(np.int64)


def _too_few_photos(group: NDArray[np.str_], codes: NDArray[np.int64]) -> str:
    photos, unknown = int(codes.max(initial=-1)) + 1, int((group == "").sum())
    if photos >= LEAST_PHOTOS:
        return ""
    if unknown == len(group):
        return (
            "no p-value: the photos of the test tiles are unknown, and errors within a photo are correlated"
        )
    of_unknown = f", with all {unknown:,} tiles of unknown photo counted as one" if unknown else ""
    return f"no p-value: {LEAST_PHOTOS} or more photos are needed, and the test has {photos}{of_unknown}"
