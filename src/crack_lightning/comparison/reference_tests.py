"""Paired tests of runs against a reference run on the same test tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.comparison.aggregate import VALIDATION, why_not_comparable
from crack_lightning.evaluation.paired_tests import (
    LEAST_PHOTOS,
    difference_intervals,
    holm,
    photo_codes,
    sign_flip_p_value,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from crack_lightning.comparison.run_results import RunResult

BY_VALIDATION = "the highest accuracy on validation tiles"
FIRST_LISTED = "order (the first run), as not every run has an accuracy on validation tiles"


def choose_reference(runs: Sequence[RunResult]) -> tuple[RunResult, str]:
    """Return the reference run, chosen without test results, and the criterion of the choice."""
    if all(VALIDATION in run.validation for run in runs):
        return max(runs, key=_validated), BY_VALIDATION
    return runs[0], FIRST_LISTED


def _validated(run: RunResult) -> tuple[float, float]:
    """Return the validation accuracy and, for ties, the negative validation loss."""
    return run.validation[VALIDATION], -run.validation.get("val/loss", np.inf)


def tests_against(reference: RunResult, others: Sequence[RunResult]) -> list[dict[str, Any]]:
    """Test each run against the reference.

    Returns:
        One row per run: ``run``, ``against``, and either ``difference`` of the accuracies with ``low``,
        ``high``, ``p`` (sign-flip test over photos) and ``p_adjusted`` (Holm's method), or ``difference`` and
        ``untested``, the reason why there is no p-value, or ``refused``, the reason why they cannot be
        compared.
    """
    refused = [why_not_comparable(run, reference) for run in others]
    compared = [run for run, why in zip(others, refused, strict=True) if not why]
    tested = iter(_tested(reference, compared))
    return [
        {"run": run.name, "against": reference.name} | ({"refused": why} if why else next(tested))
        for run, why in zip(others, refused, strict=True)
    ]


def _tested(reference: RunResult, runs: Sequence[RunResult]) -> list[dict[str, Any]]:
    codes = photo_codes(reference.group)
    rows = [{"difference": float(run.right.mean() - reference.right.mean())} for run in runs]
    if why := _too_few_photos(reference.group, codes):
        return [row | {"untested": why} for row in rows]
    if not runs:
        return []
    gain = np.stack([_gain(run.right, reference.right, codes) for run in runs])
    limits = difference_intervals(gain, np.bincount(codes))
    p_values = [sign_flip_p_value(row) for row in gain]
    columns = zip(rows, limits, p_values, holm(p_values), strict=True)
    return [
        row | {"low": low, "high": high, "p": p_value, "p_adjusted": adjusted}
        for row, (low, high), p_value, adjusted in columns
    ]


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
