"""Runs that belong together: folds are pooled, seeds are paired."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.config.trainer import usual_epochs
from crack_lightning.evaluation.classification import binary_figures, class_figures, confusion_matrix
from crack_lightning.evaluation.intervals import group_codes, proportion_interval
from crack_lightning.evaluation.paired import paired_t
from crack_lightning.sweep.results import differing_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from crack_lightning.sweep.results import RunResult

FOLD = "data.split.fold"
SEEDS = ("seed", "data.seed", "data.split.seed")
_EPOCHS = "trainer.max_epochs"


def pooled_folds(runs: Sequence[RunResult]) -> tuple[list[RunResult], list[RunResult]]:
    """Put the folds of one cross-validation together: every tile as it was told by the fold that tested it.

    Returns:
        A result a cross-validation of two folds or more, its figures and intervals over all of its tiles
        (calls at each fold's own threshold); and the runs that belong to none.
    """
    sets: dict[str, list[RunResult]] = {}
    for run in runs:
        sets.setdefault(_without(run, runs, [FOLD]), []).append(run)
    pools, single = [], []
    for folds in sets.values():
        paths = Counter(path for run in folds for path in run.path.tolist())
        whole = folds[0].settings.get("data.split.folds") and len(folds) > 1
        if whole and max(paths.values()) == 1:
            pools.append(_pooled(folds))
        else:
            single += folds
    return pools, single


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
        seconds={phase: sum(run.seconds.get(phase, 0.0) for run in folds) for phase in phases},
    )
    metrics, intervals = _figures_of_calls(pool)
    return replace(pool, metrics=metrics, intervals=intervals)


def _name_of_all(folds: Sequence[RunResult]) -> str:
    """Name runs together, what their folders share once: ``sweep/0 + 1 + 2``."""
    parents = {run.name.rpartition("/")[0] for run in folds}
    if len(parents) > 1:
        return " + ".join(run.name for run in folds)
    first, *others = folds
    return " + ".join([first.name, *(run.name.rpartition("/")[2] for run in others)])


def _figures_of_calls(run: RunResult) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Compute what calls alone give; scores of different models have no ranking in common."""
    names, positive, right = run.class_names, run.positive_class, run.right
    place = {name: number for number, name in enumerate(names)}
    label = np.array([place[name] for name in run.label.tolist()], np.int64)
    called = np.array([place[name] for name in run.called.tolist()], np.int64)
    confusion, codes = confusion_matrix(label, called, num_classes=len(names)), group_codes(run.group)
    rows = class_figures(confusion, names)["classes"]
    metrics: dict[str, Any] = {
        "tiles": len(label),
        "errors": int((~right).sum()),
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(np.mean([row["recall"] for row in rows.values() if row["support"]])),
    }
    if positive is not None:
        metrics |= {f"{key}_{positive}": rows[positive][key] for key in ("recall", "precision", "f1")}
        metrics["misses"] = int((~right & (run.label == positive)).sum())
        metrics["false_alarms"] = int((~right & (run.called == positive)).sum())
    if positive is not None and len(names) == 2:
        binary = binary_figures(confusion[None].astype(np.float64), place[positive])
        metrics |= {key: float(binary[key][0]) for key in ("specificity", "mcc")}
    limits = {
        key: proportion_interval(right[part], codes[part])._asdict()
        for key, part in _parts(run).items()
        if part.any()
    }
    return metrics, limits


def _parts(run: RunResult) -> dict[str, NDArray[np.bool_]]:
    """Return the tiles that each figure is a share of, bool ``(N,)``."""
    parts = {"accuracy": np.ones(len(run.label), np.bool_)}
    if (positive := run.positive_class) is not None:
        parts[f"recall_{positive}"] = run.label == positive
        parts[f"precision_{positive}"] = run.called == positive
        if len(run.class_names) == 2:
            parts["specificity"] = run.label != positive
    return parts


def repeated(runs: Sequence[RunResult]) -> list[dict[str, Any]]:
    """Put runs together that differ in nothing but their seeds, the best settings first.

    Returns:
        A row a set of settings: ``settings``, ``repetitions``, mean ``accuracy``, ``deviation``; for all but
        the best, over the same seeds and test tiles, ``difference``, ``low``, ``high`` and ``p`` by Student's
        t (``None`` where the differences do not vary), or why there is none as ``refused``. Nothing where no
        settings were run twice.
    """
    sets: dict[str, dict[str, RunResult]] = {}
    for run in runs:
        of = sets.setdefault(_without(run, runs, SEEDS), {})
        of[repr([run.settings.get(key) for key in SEEDS])] = run
    if not any(len(part) > 1 for part in sets.values()):
        return []
    ordered = sorted(sets.values(), key=lambda part: -float(np.mean(_accuracies(part))))
    keys = [key for key in differing_keys(runs) if key not in SEEDS]
    return [_repeated_row(part, ordered[0], keys) for part in ordered]


def _repeated_row(
    part: dict[str, RunResult], best: dict[str, RunResult], keys: Sequence[str]
) -> dict[str, Any]:
    values = _accuracies(part)
    any_run = next(iter(part.values()))
    row: dict[str, Any] = {
        "settings": {key: any_run.settings.get(key) for key in keys},
        "repetitions": len(part),
        "accuracy": float(np.mean(values)),
        "deviation": float(np.std(values, ddof=1)) if len(values) > 1 else None,
    }
    if part is best:
        return row
    shared = sorted(part.keys() & best.keys())
    if part.keys() != best.keys() or len(shared) < 2:
        return row | {"refused": f"{len(shared)} seeds are shared, of {len(part)} and {len(best)}"}
    if why := next(filter(None, (other_tiles(part[seed], best[seed]) for seed in shared)), ""):
        return row | {"refused": why}
    mean, interval, p_value = paired_t(
        [part[seed].metrics["accuracy"] for seed in shared],
        [best[seed].metrics["accuracy"] for seed in shared],
    )
    low, high = interval or (None, None)
    return row | {"difference": mean, "low": low, "high": high, "p": p_value}


def _accuracies(part: dict[str, RunResult]) -> list[float]:
    return [run.metrics["accuracy"] for run in part.values()]


def other_tiles(run: RunResult, best: RunResult) -> str:
    """Say why two runs cannot be compared tile by tile; nothing where they can."""
    if not np.array_equal(run.path, best.path):
        shared = len(np.intersect1d(run.path, best.path))
        return f"other test tiles: {shared:,} of {len(best.path):,} are shared"
    if run.tested != best.tested and None not in (run.tested, best.tested):
        return "other test tiles: their names are the same, but not their files"
    if not np.array_equal(run.label, best.label):
        return f"other labels: {int((run.label != best.label).sum()):,} of {len(best.path):,} tiles"
    return ""


def _without(run: RunResult, runs: Sequence[RunResult], left_out: Sequence[str]) -> str:
    """Write a run's settings without some, and without the epochs that follow from the number of tiles."""
    keys = [key for key in differing_keys(runs) if key not in left_out]
    if all(other.settings.get(_EPOCHS) == _usual_epochs(other) for other in runs):
        keys = [key for key in keys if key != _EPOCHS]
    return json.dumps({key: run.settings.get(key) for key in keys}, default=str)


def _usual_epochs(run: RunResult) -> int:
    return usual_epochs(run.train_tiles, len(run.settings.get("recipe.sizes") or []))
