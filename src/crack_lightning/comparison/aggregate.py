"""Aggregation of runs: pooling of cross-validation folds, and paired tests over seeds."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.comparison.run_results import differing_keys
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
        The pooled results, one per cross-validation of at least two folds, with metrics and intervals over
        all of its tiles (predicted by the model and threshold of their fold); and a list of these and the
        other runs, in the order of their first runs.
    """
    pools, compared = [], []
    for folds in _sets(runs, [FOLD]):
        if _is_cross_validation(folds):
            pools.append(_pooled(folds))
            compared.append(pools[-1])
        else:
            compared += folds
    return pools, compared


def _is_cross_validation(folds: Sequence[RunResult]) -> bool:
    """Return whether runs are at least two folds without a common test tile."""
    if len(folds) < 2 or not folds[0].settings.get("data.split.folds"):
        return False
    return max(Counter(path for run in folds for path in run.path.tolist()).values()) == 1


def _pooled(folds: Sequence[RunResult]) -> RunResult:
    first = folds[0]
    order = np.argsort(np.concatenate([run.path for run in folds]))
    done = f"{len(folds)} of {first.settings['data.split.folds']}"
    phases = dict.fromkeys(phase for run in folds for phase in run.seconds)
    digests = sorted(run.tested or "" for run in folds)
    pool = replace(
        first,
        path=np.concatenate([run.path for run in folds])[order],
        group=np.concatenate([run.group for run in folds])[order],
        label=np.concatenate([run.label for run in folds])[order],
        called=np.concatenate([run.called for run in folds])[order],
        name=_name_of_all(folds),
        settings=first.settings | {FOLD: done},
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
    metrics, intervals = _pooled_metrics(pool)
    return replace(pool, metrics=metrics, intervals=intervals)


def _name_of_all(folds: Sequence[RunResult]) -> str:
    """Join the names of runs, with their common folder once: ``sweep/0 + 1 + 2``."""
    parents = {run.name.rpartition("/")[0] for run in folds}
    if len(parents) > 1:
        return " + ".join(run.name for run in folds)
    first, *others = folds
    return " + ".join([first.name, *(run.name.rpartition("/")[2] for run in others)])


def _pooled_metrics(run: RunResult) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Compute metrics of predicted classes only, as scores of different models cannot be ranked together."""
    names = run.class_names
    place = {name: number for number, name in enumerate(names)}
    label = np.array([place[name] for name in run.label.tolist()], np.int64)
    called = np.array([place[name] for name in run.called.tolist()], np.int64)
    positive = None if run.positive_class is None else place[run.positive_class]
    confusion = confusion_matrix(label, called, num_classes=len(names))
    metrics = call_metric_values(confusion, names, positive)
    codes = group_codes(run.group)
    return metrics, call_intervals(label, called, codes, class_names=names, positive=positive)


def aggregate_seeds(runs: Sequence[RunResult]) -> list[dict[str, Any]]:
    """Aggregate runs that differ in their seeds only, by mean accuracy.

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
    reference = sets[0]
    if all(VALIDATION in run.validation for run in runs):
        reference = max(sets, key=lambda part: np.mean([run.validation[VALIDATION] for run in part.values()]))
    ordered = sorted(sets, key=lambda part: -float(np.mean(_accuracies(part))))
    keys = [key for key in differing_keys(runs) if key not in SEEDS]
    return [_repeated_row(part, reference, keys) for part in ordered]


def _seeds(run: RunResult) -> str:
    return repr([run.settings.get(key) for key in SEEDS])


def _repeated_row(
    part: dict[str, RunResult], reference: dict[str, RunResult], keys: Sequence[str]
) -> dict[str, Any]:
    values = _accuracies(part)
    any_run = next(iter(part.values()))
    row: dict[str, Any] = {
        "settings": {key: any_run.settings.get(key) for key in keys},
        "repetitions": len(part),
        "accuracy": float(np.mean(values)),
        "deviation": float(np.std(values, ddof=1)) if len(values) > 1 else None,
    }
    if part is reference:
        return row
    shared = sorted(part.keys() & reference.keys())
    if part.keys() != reference.keys() or len(shared) < 2:
        return row | {"refused": f"{len(shared)} seeds are shared, of {len(part)} and {len(reference)}"}
    if why := next(filter(None, (why_not_comparable(part[seed], reference[seed]) for seed in shared)), ""):
        return row | {"refused": why}
    mean, interval, p_value = paired_t(
        [part[seed].metrics["accuracy"] for seed in shared],
        [reference[seed].metrics["accuracy"] for seed in shared],
    )
    low, high = interval or (None, None)
    return row | {"difference": mean, "low": low, "high": high, "p": p_value}


def _accuracies(part: dict[str, RunResult]) -> list[float]:
    return [run.metrics["accuracy"] for run in part.values()]


def why_not_comparable(run: RunResult, best: RunResult) -> str:
    """Return the reason if two runs cannot be compared tile by tile, else an empty string."""
    if not np.array_equal(run.path, best.path):
        shared = len(np.intersect1d(run.path, best.path))
        return f"other test tiles: {shared:,} of {len(best.path):,} are shared"
    if run.tested != best.tested and None not in (run.tested, best.tested):
        return "other test tiles: their names are the same, but not their files"
    if not np.array_equal(run.label, best.label):
        return f"other labels: {int((run.label != best.label).sum()):,} of {len(best.path):,} tiles"
    return ""


def _sets(runs: Sequence[RunResult], left_out: Sequence[str]) -> list[list[RunResult]]:
    """Group runs of equal settings, ignoring some settings and default numbers of epochs."""
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
