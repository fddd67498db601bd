"""Audit of a set of tiles: duplicates, label conflicts, label errors, outliers; it changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from crack_lightning.data.columns import NEAR_DUPLICATES
from crack_lightning.data.scan.image_stats import MEASURES
from crack_lightning.data.scan.prepare import with_groups
from crack_lightning.data.splits.stratified_groups import assign_splits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from crack_lightning.data.scan.scan import ScanResult
    from crack_lightning.data.table import TileTable

OUTLYING = 3.5
"""Modified z-score from which a value is an outlier (Iglewicz and Hoaglin, 1993)."""

_LEAST_SPREAD = 1 / 255 / OUTLYING
"""Lower bound of the spread: one grey level from the median is no outlier yet."""
_FOLDS = 5
_RARE = 0.01


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """A likely label error.

    Attributes:
        row: The tile's row.
        probable: The class that a simple model predicts.
        probability: The probability of that class, out of fold by group.
    """

    row: int
    probable: int
    probability: float


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The findings in N tiles; sets and lists are of rows.

    Attributes:
        table: The tiles, with digests, groups and sets of near-duplicates.
        reason: Decoding error of each file, str ``(N,)``; empty without error.
        size: Width and height in pixels, int32 ``(N, 2)``; 0 where a file does not decode.
        mode: Pillow's name of the pixel format, str ``(N,)``.
        appearance: See :mod:`crack_lightning.data.scan.image_stats`, float32 ``(N, F)``.
        identical: Sets of identical files, the largest first.
        near_duplicates: Sets of near-duplicates in different files.
        conflicts: Sets of either kind with contradicting labels.
        rare_sizes: Tiles of a size that fewer than one in a hundred has.
        outliers: Outliers by measure, the farthest first.
        suspects: Likely label errors, the most probable first.
    """

    table: TileTable
    reason: NDArray[np.str_]
    size: NDArray[np.int32]
    mode: NDArray[np.str_]
    appearance: NDArray[np.float32]
    identical: list[NDArray[np.int64]]
    near_duplicates: list[NDArray[np.int64]]
    conflicts: list[NDArray[np.int64]]
    rare_sizes: NDArray[np.int64]
    outliers: dict[str, NDArray[np.int64]]
    suspects: list[Suspect]

    def flags(self) -> list[str]:
        """Return the findings of each tile, joined by ``+``, one text per row."""
        listed: dict[str, Iterable[int]] = {
            "unreadable": np.flatnonzero(self.reason != ""),
            "identical": chain.from_iterable(self.identical),
            "near_duplicate": chain.from_iterable(self.near_duplicates),
            "conflict": chain.from_iterable(self.conflicts),
            "suspect": [suspect.row for suspect in self.suspects],
            "rare_size": self.rare_sizes,
            **{f"odd_{measure}": rows for measure, rows in self.outliers.items()},
        }
        named: list[list[str]] = [[] for _ in range(len(self.table))]
        for name, rows in listed.items():
            for row in {int(row) for row in rows}:
                named[row].append(name)
        return ["+".join(names) for names in named]


def audit_tiles(table: TileTable, scan: ScanResult) -> Audit:
    """Audit a set of N tiles from a scan of its files, with near-duplicates."""
    assert scan.near_duplicates is not None, "a scan without near-duplicates"
    table = with_groups(table.with_columns(sha256=scan.sha256), scan)
    near_duplicates = sets_of(table.extra[NEAR_DUPLICATES].astype(np.str_))
    good = np.flatnonzero(scan.reason == "")
    statistics = scan.appearance[good]
    suspected = suspects(statistics, table.label[good], table.group[good], num_classes=len(table.class_names))
    return Audit(
        table=table,
        reason=scan.reason,
        size=scan.size,
        mode=scan.mode,
        appearance=scan.appearance,
        identical=sets_of(table.sha256),
        near_duplicates=[rows for rows in near_duplicates if len(np.unique(table.sha256[rows])) > 1],
        conflicts=[rows for rows in near_duplicates if len(np.unique(table.label[rows])) > 1],
        rare_sizes=good[rare_sizes(scan.size[good])],
        outliers={measure: good[rows] for measure, rows in outliers(statistics).items()},
        suspects=[replace(suspect, row=int(good[suspect.row])) for suspect in suspected],
    )


def sets_of(names: NDArray[np.str_]) -> list[NDArray[np.int64]]:
    """Return the sets of two or more rows with the same name, the largest first; empty names are ignored."""
    order = np.argsort(names, kind="stable").astype(np.int64)
    order = order[names[order] != ""]
    cuts = np.flatnonzero(names[order][1:] != names[order][:-1]) + 1
    parts = [part for part in np.split(order, cuts) if len(part) > 1]
    return sorted(parts, key=lambda rows: (-len(rows), rows[0]))


def class_balance(table: TileTable) -> dict[str, list[int]]:
    """Return the tiles by class of each group, the largest group first; tiles without one are ignored."""
    known = table.group != ""
    names, place = np.unique(table.group[known], return_inverse=True)
    counts = np.zeros((len(names), len(table.class_names)), np.int64)
    np.add.at(counts, (place, table.label[known]), 1)
    order = np.lexsort((names, -counts.sum(axis=1)))
    return {str(names[row]): counts[row].tolist() for row in order}


def outliers(appearance: NDArray[np.float32]) -> dict[str, NDArray[np.int64]]:
    """Return outliers of brightness, contrast and sharpness.

    Args:
        appearance: Image statistics, from :func:`crack_lightning.data.scan.image_stats.appearance`, float32
            ``(N, F)``.

    Returns:
        Rows of outliers by measure, int64, the farthest first. Contrast and sharpness are taken as
        logarithms, as their spread grows with them.
    """
    rows_by_measure = {}
    for column, measure in enumerate(MEASURES):
        values = appearance[:, column].astype(np.float64)
        if measure != "brightness":
            values = np.log(values + 1e-3)
        distance = np.abs(_modified_z(values))
        rows = np.flatnonzero(distance > OUTLYING)
        rows_by_measure[measure] = rows[np.argsort(-distance[rows], kind="stable")]
    return rows_by_measure


def _modified_z(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return deviations from the median in units of 1.4826 times their median.

    Where over half of the values are equal, that median is 0, and 1.2533 times the mean stands in for it.
    """
    deviation = values - np.median(values)
    size = np.abs(deviation)
    spread = 1.4826 * np.median(size) or 1.2533 * np.mean(size)
    return np.asarray(deviation / max(float(spread), _LEAST_SPREAD), np.float64)


def rare_sizes(size: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the rows of a size that fewer than one tile in a hundred has, of sizes int32 ``(N, 2)``."""
    _, kind, counts = np.unique(size, axis=0, return_inverse=True, return_counts=True)
    return np.flatnonzero(counts[kind] < _RARE * len(size))


def suspects(
    features: NDArray[np.float32], label: NDArray[np.int64], group: NDArray[np.str_], *, num_classes: int
) -> list[Suspect]:
    """Return likely label errors, by confident learning.

    A logistic regression predicts each tile out of fold, by group. A tile is a suspect if the probability of
    another class is at least the mean probability of that class over the tiles labelled with it.

    Args:
        features: Image statistics, float32 ``(N, F)``.
        label: Classes, int64 ``(N,)``.
        group: Groups that share a fold, str ``(N,)``; empty where unknown.
        num_classes: K.

    Returns:
        Suspects, the most certain first; none if a class has fewer than ten tiles or too few groups.

    References:
        Northcutt, Jiang and Chuang, "Confident Learning", JAIR 2021, section 3.
    """
    if np.bincount(label, minlength=num_classes).min() < 2 * _FOLDS:
        return []
    probability = _out_of_fold(features, label, group)
    if probability is None:
        return []
    own = probability[np.arange(len(label)), label]
    least = np.array([own[label == k].mean() for k in range(num_classes)])
    confident = np.where(probability >= least, probability, -1.0)
    probable = confident.argmax(axis=1)
    rows = np.flatnonzero((confident.max(axis=1) > 0) & (probable != label))
    rows = rows[np.argsort(own[rows] - probability[rows, probable[rows]], kind="stable")]
    return [
        Suspect(row=int(row), probable=int(probable[row]), probability=float(probability[row, probable[row]]))
        for row in rows
    ]


def _out_of_fold(
    features: NDArray[np.float32], label: NDArray[np.int64], group: NDArray[np.str_]
) -> NDArray[np.float64] | None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names = np.arange(len(label)).astype(np.str_)
    fold = assign_splits(names, label, group, seed=0, shares=np.full(_FOLDS, 1 / _FOLDS))
    probability = np.empty((len(label), label.max() + 1))
    for number in range(_FOLDS):
        train, held_out = fold != number, fold == number
        if not held_out.any() or len(np.unique(label[train])) < label.max() + 1:
            return None
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=500))
        with threadpool_limits(1, user_api="blas"):  # steps are too short for several threads
            probability[held_out] = model.fit(features[train], label[train]).predict_proba(features[held_out])
    return probability
