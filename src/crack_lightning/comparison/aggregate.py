"""Aggregation of runs: pooling of cross-validation folds, and paired tests over seeds."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.comparison.run_results import IncomparableError, TileResults, differing_keys
from crack_lightning.config.nodes.trainer import default_epochs
from crack_lightning.evaluation.classification import call_metric_values, confusion_matrix
from crack_lightning.evaluation.intervals.calls import call_intervals
from crack_lightning.evaluation.intervals.groups import group_codes
from crack_lightning.evaluation.paired_tests import paired_t

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crack_lightning.comparison.run_results import RunResult

FOLD = "data.split.fold"
SEEDS = ("seed", "data.seed", "data.split.seed")
VALIDATION = "val/accuracy"
_EPOCHS = "trainer.max_epochs"


def pool_folds(runs: Sequence[RunResult]) -> tuple[list[RunResult], list[RunResult]]:
    """Pool the test tiles of the folds of each cross-validation.

    Returns:
        The pooled results, one per cross-validation of at least two folds without a common test tile, with
        metrics and intervals over all of its tiles (predicted by the model and threshold of their fold); and
        a list of these and the other runs, in the order of their first runs.
    """
    pools, compared = [], []
    for folds in _sets(runs, [FOLD]):
        pool = _pooled(folds) if len(folds) > 1 and folds[0].settings.get("data.split.folds") else None
        if pool is not None:
            pools.append(pool)
        compared += folds if pool is None else [pool]
    return pools, compared


def _pooled(folds: Sequence[RunResult]) -> RunResult | None:
    """Pool folds; return ``None`` if they have a common test tile, or one's tiles cannot be read."""
    try:
        tiles = _concatenated(folds)
    except IncomparableError:
        return None
    if (tiles.path[1:] == tiles.path[:-1]).any():
        return None
    first = folds[0]
    phases = dict.fromkeys(phase for run in folds for phase in run.seconds)
    digests = sorted(run.tested or "" for run in folds)
    metrics, intervals = _metrics_of_calls(tiles, first)
    return replace(
        first,
        name=_name_of_all(folds),
        settings=first.settings | {FOLD: f"{len(folds)} of {first.settings['data.split.folds']}"},
        metrics=metrics,
        intervals=intervals,
        tiles=partial(_concatenated, folds),
        tested=" ".join(digests) if all(digests) else None,
        train_tiles=sum(run.train_tiles for run in folds),
        sources={},
        validation={
            name: float(np.mean([run.validation[name] for run in folds]))
            for name in first.validation
            if all(name in run.validation for run in folds)
        },
        seconds={phase: sum(run.seconds.get(phase, 0.0) for run in folds) for phase in phases},
    )


def _concatenated(folds: Sequence[RunResult]) -> TileResults:
    parts = [run.tiles() for run in folds]
    path, group, label, predicted = (
        np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(TileResults)
    )
    order = np.argsort(path)
    return TileResults(path[order], group[order], label[order], predicted[order])


def _name_of_all(folds: Sequence[RunResult]) -> str:
    """Join the names of runs, with their common folder once: ``sweep/0 + 1 + 2``."""
    parents = {run.name.rpartition("/")[0] for run in folds}
    if len(parents) > 1:
        return " + ".join(run.name for run in folds)
    first, *others = folds
    return " + ".join([first.name, *(run.name.rpartition("/")[2] for run in others)])


def _metrics_of_calls(tiles: TileResults, run: RunResult) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Compute metrics of predicted classes only, as scores of different models cannot be ranked together."""
    names = run.class_names
    place = {name: number for number, name in enumerate(names)}
    label, called = (
        np.array([place[name] for name in column.tolist()], np.int64)
        for column in (tiles.label, tiles.predicted)
    )
    positive = None if run.positive_class is None else place[run.positive_class]
    metrics = call_metric_values(confusion_matrix(label, called, num_classes=len(names)), names, positive)
    codes = group_codes(tiles.group)
    return metrics, call_intervals(label, called, codes, class_names=names, positive=positive)


def aggregate_seeds(runs: Sequence[RunResult], *, num_tested: int | None = None) -> list[dict[str, Any]]:
    """Average the accuracy of runs that differ in their seeds only.

    Args:
        runs: Runs and pooled cross-validations.
        num_tested: Number of sets to test, the best on validation tiles; all by default.

    Returns:
        One row per set of settings: ``settings``, ``repetitions``, mean ``accuracy`` and its standard
        ``deviation``. All but the reference have ``difference``, ``low``, ``high`` and ``p`` of a paired
        t-test over the same seeds and test tiles (the last three ``None`` if all differences are equal), or
        ``refused`` with the reason. The reference has the highest mean validation accuracy, or is the first
        if a run has none. Empty if no settings were run with several seeds.
    """
    sets = [{_seeds(run): run for run in part} for part in _sets(runs, SEEDS)]
    if not any(len(part) > 1 for part in sets):
        return []
    ranked = sets
    if all(VALIDATION in run.validation for run in runs):
        ranked = sorted(sets, key=_mean_validation, reverse=True)
    tested = _PairedSeeds(ranked[0], ranked[1:] if num_tested is None else ranked[1 : num_tested + 1])
    keys = [key for key in differing_keys(runs) if key not in SEEDS]
    ordered = sorted(sets, key=lambda part: -float(np.mean(_accuracies(part))))
    return [_summary(part, keys) | tested.row(part) for part in ordered]


def _seeds(run: RunResult) -> str:
    return repr([run.settings.get(key) for key in SEEDS])


def _mean_validation(part: dict[str, RunResult]) -> float:
    return float(np.mean([run.validation[VALIDATION] for run in part.values()]))


def _accuracies(part: dict[str, RunResult]) -> list[float]:
    return [run.metrics["accuracy"] for run in part.values()]


def _summary(part: dict[str, RunResult], keys: Sequence[str]) -> dict[str, Any]:
    values = _accuracies(part)
    any_run = next(iter(part.values()))
    return {
        "settings": {key: any_run.settings.get(key) for key in keys},
        "repetitions": len(part),
        "accuracy": float(np.mean(values)),
        "deviation": float(np.std(values, ddof=1)) if len(values) > 1 else None,
    }


class _PairedSeeds:
    """Paired t-tests of sets of runs, by seed, against a reference set."""

    def __init__(self, reference: dict[str, RunResult], tested: Sequence[dict[str, RunResult]]) -> None:
        self._reference, self._tested = reference, {id(part) for part in tested}
        self._tiles: dict[str, TileResults] = {}

    def row(self, part: dict[str, RunResult]) -> dict[str, Any]:
        """Return a set's test result, or why there is none; an empty mapping for the reference."""
        reference = self._reference
        if part is reference:
            return {}
        if id(part) not in self._tested:
            return {"refused": f"not among the {len(self._tested)} best on validation tiles"}
        shared = sorted(part.keys() & reference.keys())
        if part.keys() != reference.keys() or len(shared) < 2:
            return {"refused": f"{len(shared)} seeds are shared, of {len(part)} and {len(reference)}"}
        try:
            for seed in shared:
                comparable_tiles(part[seed], reference[seed], self._tiles_of_reference(seed))
        except IncomparableError as reason:
            return {"refused": str(reason)}
        mean, interval, p_value = paired_t(
            *([runs[seed].metrics["accuracy"] for seed in shared] for runs in (part, reference))
        )
        low, high = interval or (None, None)
        return {"difference": mean, "low": low, "high": high, "p": p_value}

    def _tiles_of_reference(self, seed: str) -> TileResults:
        if seed not in self._tiles:
            self._tiles[seed] = self._reference[seed].tiles()
        return self._tiles[seed]


def comparable_tiles(run: RunResult, reference: RunResult, expected: TileResults) -> TileResults:
    """Return a run's tiles if they are those of the reference.

    Raises:
        IncomparableError: If they are not the same, or cannot be read.
    """
    tiles = run.tiles()
    if not np.array_equal(tiles.path, expected.path):
        shared = len(np.intersect1d(tiles.path, expected.path))
        raise IncomparableError(f"other test tiles: {shared:,} of {len(expected.path):,} are shared")
    if run.tested != reference.tested and None not in (run.tested, reference.tested):
        raise IncomparableError("other test tiles: their names are the same, but not their files")
    if different := int((tiles.label != expected.label).sum()):
        raise IncomparableError(f"other labels: {different:,} of {len(expected.path):,} tiles")
    return tiles


def _sets(runs: Sequence[RunResult], left_out: Sequence[str]) -> list[list[RunResult]]:
    """Group runs by equal settings; ignore ``left_out`` and default numbers of epochs."""
    keys = [key for key in differing_keys(runs) if key not in left_out]
    if all(other.settings.get(_EPOCHS) == _usual_epochs(other) for other in runs):
        keys = [key for key in keys if key != _EPOCHS]
    sets: dict[str, list[RunResult]] = {}
    for run in runs:
        same = json.dumps({key: run.settings.get(key) for key in keys}, default=str)
        sets.setdefault(same, []).append(run)
    return [*sets.values()]


def _usual_epochs(run: RunResult) -> int:
    return default_epochs(run.train_tiles, len(run.settings.get("recipe.sizes") or []))
