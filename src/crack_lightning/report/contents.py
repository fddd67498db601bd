"""The contents of a report as JSON values, from which all of its formats are rendered."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.data.columns import NEAR_DUPLICATES
from crack_lightning.data.grouping.groups import has_known_photo, has_near_duplicate_in, leaked_pairs
from crack_lightning.evaluation.calibration import reliability, tempered
from crack_lightning.evaluation.classification import evaluate_predictions
from crack_lightning.evaluation.intervals.groups import group_codes, proportion_interval
from crack_lightning.evaluation.intervals.metrics import uncertainty
from crack_lightning.evaluation.intervals.shares import WILSON
from crack_lightning.evaluation.pod.estimate import probability_of_detection
from crack_lightning.evaluation.predictions import predicted_labels
from crack_lightning.evaluation.slices import false_alarms_by_distractor, recall_by_width, share_interval
from crack_lightning.report.by_source import figures_by_source
from crack_lightning.report.error_slices import error_slices, named_tiles
from crack_lightning.report.ood import ood_contents
from crack_lightning.report.report_file import SCHEMA_VERSION, to_builtin, with_current_names
from crack_lightning.report.sections.ood import ood_warnings
from crack_lightning.report.sections.verdict import verdict, warnings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable
    from crack_lightning.evaluation.predictions import Predictions
    from crack_lightning.report.inputs import Explanations

_LISTED_ERRORS = 10


def report_contents(
    *,
    title: str,
    predictions: Predictions,
    table: TileTable,
    history: Sequence[Mapping[str, float]],
    provenance: Mapping[str, Any],
    threshold: float,
    mm_per_px: float | None = None,
    explanations: Explanations | None = None,
) -> dict[str, Any]:
    """Compute the contents of a report; see ``write_report`` for the arguments.

    Returns:
        JSON values, with ``None`` for NaN and infinity. Only ``timing`` and ``created`` differ between two
        equal runs.
    """
    made = with_current_names({"provenance": to_builtin(dict(provenance))})["provenance"]  # of a resumed run
    classes: dict[str, Any] = {"class_names": table.class_names, "positive_class": table.positive_class}
    figures = evaluate_predictions(predictions, **classes, threshold=threshold)
    curves = figures.pop("curves")
    predicted = predicted_labels(
        predictions.probability, positive_index=table.positive_index, threshold=threshold
    )
    codes = group_codes(table.group[predictions.index])
    ood = ood_contents(predictions, predicted, codes)
    random_weights = [made["weights_warning"]] if made.get("weights_warning") else []
    test_uncertainty = uncertainty(
        predictions, table.group[predictions.index], **classes, threshold=threshold
    )
    test_uncertainty["intervals"] |= _interval_without_near_duplicates(predictions, table, predicted, codes)
    contents = {
        "schema_version": SCHEMA_VERSION,
        "title": title,
        "verdict": verdict(
            figures, positive_class=table.positive_class, intervals=test_uncertainty["intervals"]
        ),
        "warnings": [*warnings(figures), *ood_warnings(ood), *random_weights],
        **classes,
        **figures,
        "uncertainty": test_uncertainty,
        "calibration": _calibration(predictions, codes, table, made.get("decision")),
        "ood": ood,
        "most_confident_errors": _most_confident_errors(predictions, table, predicted),
        "least_confident": _least_confident(predictions, table, predicted, threshold),
        **figures_by_source(predictions, table, threshold=threshold),
        **_detection(predictions, table, predicted, codes, mm_per_px),
        "error_slices": error_slices(predictions, table, predicted),
        "explanation": explanations and {"method": explanations.method, "examples": explanations.shown},
        "localisation": explanations and explanations.localisation,
        "data": data_statement(table) | {"test_sha256": _digest(table.select(predictions.index))},
        "near_duplicates": _near_duplicates(predictions, table, predicted),
        "history": history,
        "provenance": {key: value for key, value in made.items() if key not in {"timing", "created"}},
        "timing": made.get("timing", {}),
        "created": made.get("created"),
        "curves": curves,
    }
    plain: dict[str, Any] = to_builtin(contents)
    return plain


def data_statement(table: TileTable) -> dict[str, Any]:
    """Count tiles and groups by split and class, and groups with tiles in several splits."""
    splits = [split for split in ("train", "val", "test", "") if (table.split == split).any()]
    known = has_known_photo(table)
    pairs = set(zip(table.group[known].tolist(), table.split[known].tolist(), strict=True))
    splits_of_group = Counter(group for group, split in pairs if split)
    return {
        "sources": dict(sorted(Counter(table.source.tolist()).items())),
        "splits": {split or "unused": _split_statement(table, table.split == split) for split in splits},
        "tiles_without_group": int((~known).sum()),
        "tiles_of_inferred_photos": int((table.extra.get("group_from", table.group) == "recovery").sum()),
        "groups_in_several_splits": sum(count > 1 for count in splits_of_group.values()),
        "left_out": [item._asdict() for item in table.left_out],
    }


def _digest(tested: TileTable) -> str | None:
    """Return a digest of names and contents of the test files; ``None`` if a content digest is unknown."""
    if not len(tested) or (tested.sha256 == "").any():
        return None
    lines = sorted(f"{path}\0{digest}\n" for path, digest in zip(tested.path, tested.sha256, strict=True))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def _split_statement(table: TileTable, rows: NDArray[np.bool_]) -> dict[str, Any]:
    counts = np.bincount(table.label[rows], minlength=len(table.class_names))
    groups = set(table.group[rows & has_known_photo(table)].tolist())
    return {
        "tiles": int(rows.sum()),
        "groups": len(groups),
        "classes": dict(zip(table.class_names, counts.tolist(), strict=True)),
    }


def _near_duplicates(
    predictions: Predictions, table: TileTable, predicted: NDArray[np.int64]
) -> dict[str, Any]:
    """Count leaked pairs, and compute the accuracy on test tiles without a near-duplicate in training."""
    leaked = has_near_duplicate_in(table, "train")[predictions.index]
    right = predicted == predictions.label
    return {
        "searched": NEAR_DUPLICATES in table.extra,
        "leaked_pairs": leaked_pairs(table),
        "test_tiles_with_near_duplicate_in_train": int(leaked.sum()),
        "accuracy_without_near_duplicates": float(right[~leaked].mean()) if (~leaked).any() else None,
    }


def _interval_without_near_duplicates(
    predictions: Predictions, table: TileTable, predicted: NDArray[np.int64], codes: NDArray[np.int64]
) -> dict[str, Any]:
    """Return the interval of the accuracy without near-duplicates; empty if no, or every, tile has one."""
    leaked = has_near_duplicate_in(table, "train")[predictions.index]
    if not leaked.any() or leaked.all():
        return {}
    limits = proportion_interval((predicted == predictions.label)[~leaked], codes[~leaked])
    return {"accuracy_without_near_duplicates": limits._asdict() | {"method": WILSON}}


def _most_confident_errors(
    predictions: Predictions, table: TileTable, predicted: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """List the most confident errors of each true class, the positive class first."""
    classes = sorted(range(len(table.class_names)), key=lambda k: k != table.positive_index)
    wrong, rows = predicted != predictions.label, []
    for k in classes:
        errors = np.flatnonzero(wrong & (predictions.label == k))
        probability = predictions.probability[errors, predicted[errors]]
        order = np.lexsort((table.path[predictions.index[errors]], -probability))
        rows += errors[order[:_LISTED_ERRORS]].tolist()
    return named_tiles(predictions, table, predicted, np.array(rows, np.int64))


def _least_confident(
    predictions: Predictions, table: TileTable, predicted: NDArray[np.int64], threshold: float
) -> list[dict[str, Any]]:
    """List the tiles nearest to the threshold, or with the smallest margin between two classes."""
    positive, probability = table.positive_index, predictions.probability
    if probability.shape[1] == 2 and positive is not None:
        margin = np.abs(probability[:, positive] - threshold)
    else:
        ordered = np.sort(probability, axis=1)
        margin = ordered[:, -1] - ordered[:, -2]
    return named_tiles(predictions, table, predicted, np.argsort(margin, kind="stable")[:_LISTED_ERRORS])


def _calibration(
    predictions: Predictions,
    codes: NDArray[np.int64],
    table: TileTable,
    decision: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Compute the reliability of the probabilities, before and after temperature scaling."""
    positive = table.positive_index if len(table.class_names) == 2 else None
    label, probability = predictions.label, predictions.probability
    before = None
    if decision is not None and decision["temperature"] != 1:
        raw = tempered(probability, 1 / decision["temperature"])
        before = reliability(label, raw, codes, positive=positive)
    return {
        "probability_of": None if positive is None else table.positive_class,
        "uncalibrated": before,
        "calibrated": reliability(label, probability, codes, positive=positive),
    }


def _detection(
    predictions: Predictions,
    table: TileTable,
    predicted: NDArray[np.int64],
    codes: NDArray[np.int64],
    mm_per_px: float | None,
) -> dict[str, Any]:
    """Compute recall and POD by crack width, and false alarms by distractor; ``None`` where unknown."""
    result: dict[str, Any] = {"recall_by_width": None, "pod": None, "false_alarms_by_distractor": None}
    if table.positive_index is None:
        return result
    called = predicted == table.positive_index
    cracked = predictions.label == table.positive_index
    tested = table.select(predictions.index).extra
    if "crack_width_px" in tested:
        width = tested["crack_width_px"].astype(np.float64)[cracked]
        if not np.isnan(width).all():
            result["recall_by_width"] = recall_by_width(width, called[cracked], codes[cracked])
            photos = np.unique(codes[cracked], return_inverse=True)[1]
            result["pod"] = probability_of_detection(width, called[cracked], photos)
            alarms = float(called[~cracked].mean()) if (~cracked).any() else None
            result["pod"] |= {
                "mm_per_px": mm_per_px,
                "false_call_rate": alarms,
                "false_call_interval": share_interval(called, ~cracked, codes)["interval"],
            }
    if "distractors" in tested and (~cracked).any():
        kinds = tested["distractors"].astype(np.str_)[~cracked]
        result["false_alarms_by_distractor"] = false_alarms_by_distractor(
            kinds, called[~cracked], codes[~cracked]
        )
    return result
