"""``report.json``: conversion to JSON, version of the schema, and reading of older versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.runtime.files.untrusted_files import read_json, require_shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCHEMA_VERSION = 2
"""Version of the names in ``report.json``; the oldest reports have none, which counts as 0."""

_COUNTS = (
    ("misses", "false_negatives"),
    ("false_alarms", "false_positives"),
    ("accuracy_of_largest_class", "majority_class_accuracy"),
)
_RENAMED = (
    ("cautions", "warnings"),
    ("foreign", "ood"),
    ("worst_errors", "most_confident_errors"),
    ("least_sure", "least_confident"),
    ("detection", "pod"),
    ("errors_by", "error_slices"),
    ("explained", "explanation"),
    ("twins", "near_duplicates"),
    ("made", "created"),
    *((f"metrics.{old}", new) for old, new in _COUNTS),
    *((f"by_source.*.{old}", new) for old, new in _COUNTS),
    ("intervals_by_source.*.accuracy_of_largest_class", "majority_class_accuracy"),
    ("uncertainty.intervals.accuracy_of_largest_class", "majority_class_accuracy"),
    ("uncertainty.intervals.accuracy_without_twins", "accuracy_without_near_duplicates"),
    ("uncertainty.independent_tiles", "effective_sample_size"),
    ("uncertainty.bounds", "notes"),
    ("calibration.before", "uncalibrated"),
    ("calibration.after", "calibrated"),
    ("calibration.*.observed_share", "observed_frequency"),
    ("ood.marked", "ood_tiles"),
    ("ood.area_under_risk", "aurc"),
    ("ood.error_rate_of_marked", "error_rate_ood"),
    ("ood.error_rate_of_others", "error_rate_in_distribution"),
    ("ood.intervals.error_rate_of_marked", "error_rate_ood"),
    ("ood.intervals.error_rate_of_others", "error_rate_in_distribution"),
    ("ood.*.by_novelty", "by_ood_score"),
    ("ood.*.by_probability", "by_confidence"),
    ("recall_by_width.*.found", "detected"),
    ("pod.found", "detected"),
    ("false_alarms_by_distractor.*.false_alarms", "false_positives"),
    ("error_slices.*.*.shown", "examples"),
    ("explanation.shown", "examples"),
    ("data.tested_sha256", "test_sha256"),
    ("data.tiles_of_recovered_photos", "tiles_of_inferred_photos"),
    ("near_duplicates.looked_for", "searched"),
    ("near_duplicates.test_tiles_with_twin_in_training", "test_tiles_with_near_duplicate_in_train"),
    ("near_duplicates.accuracy_on_the_others", "accuracy_without_near_duplicates"),
    ("provenance.kept_epoch", "best_epoch"),
    ("provenance.novelty", "ood_detector"),
    ("provenance.engine", "backend"),
    ("provenance.skipped", "excluded_files"),
    ("provenance.known_tiles_left_out", "excluded_training_tiles"),
    ("provenance.weights_caution", "weights_warning"),
    ("provenance.largest_difference_from_eager_32", "max_abs_difference_from_float32"),
    ("provenance.decision.told", "notes"),
    *((f"provenance.decision.validation.{old}", new) for old, new in _COUNTS),
    ("provenance.decision.curve.misses", "false_negative_rate"),
    ("provenance.decision.curve.false_alarms", "false_positive_rate"),
)


def to_builtin(value: Any) -> Any:
    """Convert a value to types of strict JSON: NaN and infinity become ``None``, unknown types text."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): to_builtin(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_builtin(item) for item in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return value.as_posix() if isinstance(value, Path) else str(value)


def to_json(contents: Mapping[str, Any]) -> str:
    """Write contents as JSON with one value per line, but each curve in one line."""
    without_curves = {key: value for key, value in contents.items() if key != "curves"}
    head = json.dumps(without_curves, indent=2, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
    curves = json.dumps(contents["curves"], ensure_ascii=False, allow_nan=False)
    return f'{head},\n  "curves": {curves}\n}}\n'


def read_report(path: Path, shape: Mapping[str, Any]) -> dict[str, Any]:
    """Read a report of this version or an older one, with its keys renamed to those of this version.

    Args:
        path: A ``report.json``.
        shape: Fields that are read, with their types; see :func:`require_shape`.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no report, or its version is unknown.
    """
    report = read_json(path)
    require_shape(report, {})
    version = report.get("schema_version", 0)
    if type(version) is not int or not 0 <= version <= SCHEMA_VERSION:
        raise ValueError(
            f"schema_version {version!r}, where {SCHEMA_VERSION} or an older one is expected; update "
            "crack-lightning, or run evaluate again with its checkpoint"
        )
    require_shape(with_current_names(report), shape)
    return report


def with_current_names(report: dict[str, Any]) -> dict[str, Any]:
    """Rename the keys that older versions wrote, in place, and return the report; current keys stay."""
    for old, new in _RENAMED:
        *parents, key = old.split(".")
        for node in _nodes(report, parents):
            if key in node and new not in node:
                node[new] = node.pop(key)
    return report


def _nodes(value: Any, parents: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the mappings at the end of a path of keys, ``*`` for all of a mapping or a list."""
    if not parents:
        if isinstance(value, dict):
            yield value
        return
    first, *rest = parents
    if first == "*" and isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _nodes(item, rest)
    elif isinstance(value, dict) and first in value:
        yield from _nodes(value[first], rest)
