"""Explanations of test tiles: evidence maps of some tiles, and localisation skill on tiles with masks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from crack_lightning.data.io.loading import read_batch
from crack_lightning.data.io.mask_files import read_mask
from crack_lightning.evaluation.intervals.groups import group_codes
from crack_lightning.evaluation.localisation import localisation_scores, localisation_skill, skill_by_lines
from crack_lightning.evaluation.predictions import predicted_labels
from crack_lightning.model.explain import build_explainer
from crack_lightning.report.error_slices import named_tiles
from crack_lightning.report.inputs import Explanations
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable
    from crack_lightning.evaluation.predictions import Predictions
    from crack_lightning.model.backends.inference_model import InferenceParts

    Maps = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]

log = logging.getLogger(__name__)
MOST_MEASURED = 300
_SHOWN = 5
_BATCH = 32


def explain_test_tiles(
    classifier: InferenceParts, table: TileTable, predictions: Predictions, *, threshold: float
) -> Explanations | None:
    """Explain test tiles; return ``None`` for a network without evidence maps.

    Localisation skill is measured on at most 300 cracked tiles with masks, evenly spaced in the table, which
    bounds its time.

    Args:
        classifier: The tested model.
        table: All tiles.
        predictions: Predictions of the test tiles, by row of ``table``.
        threshold: Lowest probability of a positive prediction, with two classes.
    """
    try:
        explainer = build_explainer(classifier)
    except ConfigError as error:
        log.warning("%s", error)
        return None
    size, paths = int(classifier.hparams["image_size"]), [table.root / path for path in table.path]

    def maps(rows: NDArray[np.int64], of_class: NDArray[np.int64]) -> NDArray[np.float32]:
        parts = [slice(start, start + _BATCH) for start in range(0, len(rows), _BATCH)]
        evidence = [
            explainer(
                read_batch([paths[row] for row in rows[part]], size=size), torch.from_numpy(of_class[part])
            )
            for part in parts
        ]
        return torch.cat(evidence).numpy() if evidence else np.empty((0, 1, 1), np.float32)

    positive = table.positive_index
    called = predicted_labels(predictions.probability, positive_index=positive, threshold=threshold)
    shown = _shown(predictions, called, positive, table.positive_class)
    chosen = np.concatenate([np.empty(0, np.int64), *shown.values()])
    of_class = called[chosen] if positive is None else np.full(len(chosen), positive, np.int64)
    rows = predictions.index[chosen]
    return Explanations(
        method=explainer.method,
        shown={title: named_tiles(predictions, table, called, those) for title, those in shown.items()},
        maps=dict(zip(table.path[rows].tolist(), maps(rows, of_class), strict=True)),
        localisation=_localisation(maps, table, predictions),
    )


def _shown(
    predictions: Predictions, called: NDArray[np.int64], positive: int | None, name: str | None
) -> dict[str, NDArray[np.int64]]:
    """Choose the most confident errors, and correct predictions evenly spaced in the table."""
    label = predictions.label
    sure = predictions.probability[np.arange(len(label)), called]
    wrong, right = called != label, called == label
    if positive is None:
        kinds = {"Wrong predictions": wrong, "Correct predictions": right}
    else:
        kinds = {
            f"Missed {name} tiles": wrong & (label == positive),
            "False alarms": wrong & (called == positive),
            f"Detected {name} tiles": right & (label == positive),
        }
    return {
        title: _spread(np.flatnonzero(rows), _SHOWN)
        if right[rows].all()
        else np.flatnonzero(rows)[np.argsort(-sure[rows], kind="stable")[:_SHOWN]]
        for title, rows in kinds.items()
        if rows.any()
    }


def _localisation(maps: Maps, table: TileTable, predictions: Predictions) -> dict[str, Any] | None:
    positive = table.positive_index
    if positive is None or "mask" not in table.extra:
        return None
    tested, mask = predictions.index, table.extra["mask"].astype(np.str_)
    rows = _spread(np.sort(tested[(predictions.label == positive) & (mask[tested] != "")]), MOST_MEASURED)
    masks = [read_mask(table.root / mask[row]).values > 0 for row in rows]
    with_crack = np.array([crack.any() for crack in masks], bool)
    if not with_crack.any():
        return None
    rows = rows[with_crack]
    scores = localisation_scores(
        maps(rows, np.full(len(rows), positive)), [crack for crack in masks if crack.any()]
    )
    codes = group_codes(table.group[rows])
    lines = table.extra.get("crack_lines")
    return {
        **localisation_skill(scores, codes),
        "by_lines": None if lines is None else skill_by_lines(scores, codes, lines[rows].astype(np.float64)),
    }


def _spread(rows: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """Return at most ``number`` rows, evenly spaced."""
    return rows[np.linspace(0, len(rows) - 1, min(number, len(rows))).round().astype(np.int64)]
