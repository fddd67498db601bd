"""What the rows of evidence measure: widths that are found, honest probabilities, promises that are kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from honest import probe_of

from crack_lightning import load
from crack_lightning.data.splits.assign import split_table
from crack_lightning.data.synthesis.scene import cut_tiles, draw_photo
from crack_lightning.evaluation.calibration import calibration_error, tempered
from crack_lightning.evaluation.pod.estimate import probability_of_detection
from crack_lightning.evaluation.thresholds import decide

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

GRADED_PX, GRADED_CRACKS, TILE_PX = (0.8, 10.0), 600, 96
HARD_TILES, HARD_PX, HARD_SEED = 8000, 64, 11
SHARES, SEEDS, PROMISED, GIVEN_L2 = (0.1, 0.3, 0.6), 100, 0.9, 1e-4


def row_c(folder: Path) -> str:
    """Tell the probability of detection of a run's report, and of its model on photos of graded cracks."""
    report = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    graded = graded_detection(folder / "checkpoints" / "best.ckpt")
    return f"default report: {_widths(report['detection'])}; graded: {_widths(graded)}"


def graded_detection(best: Path) -> dict[str, Any]:
    """Estimate from which width on a model finds cracks that are as often thin as wide, by logarithm."""
    images: list[NDArray[np.uint8]] = []
    widths, photos, side, photo = [], [], 2 * TILE_PX, 0
    while len(images) < GRADED_CRACKS:
        drawn = draw_photo(np.random.default_rng([10**6, photo]), side, side, crack_width_px=GRADED_PX)
        for tile in cut_tiles(drawn, tile_px=TILE_PX):
            if tile.cracked:
                decoded = cv2.imdecode(np.frombuffer(tile.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
                images.append(np.asarray(decoded, np.uint8))
                widths.append(tile.crack_width_px)
                photos.append(photo)
        photo += 1
    found = np.array([label == "crack" for label in load(best).predict(images).labels])
    return probability_of_detection(np.array(widths), found, np.array(photos))


def _widths(detection: dict[str, Any]) -> str:
    if not detection["estimable"]:
        return f"not estimable ({detection['reason']})"
    keys = ("a50_px", "a90_px", "a90_95_px", "a90_95_px_by_photos")
    told = ", ".join(
        f"{key} {detection[key]:.2f}" if detection[key] else f"{key} none" for key in keys if key in detection
    )
    return f"{told} ({detection['cracks']} cracks)"


def row_e(cache: Path) -> str:
    """Fit heads on 200 tiles each; compare calibration errors, and count promises that the test keeps.

    Once with the regularisation that a probe chooses on validation tiles, which leaves little to calibrate,
    and once with one that is given.
    """
    hard = [f"data.drawn.{key}={value}" for key, value in (("num_tiles", HARD_TILES), ("tile_px", HARD_PX))]
    probe, table = probe_of([*hard, f"data.seed={HARD_SEED}", f"model.image_size={HARD_PX}"], cache)
    told = []
    for name, l2 in (("l2 chosen", None), (f"l2={GIVEN_L2}", GIVEN_L2)):
        rows = [_judged(probe, table, seed, l2) for seed in range(SEEDS)]
        accuracy, before, after, chance, recall, false_calls = np.array(rows).T
        halved, kept = int((after <= before / 2).sum()), int((recall >= PROMISED).sum())
        told.append(
            f"{name}: accuracy {accuracy.mean():.3f} ({accuracy.min():.3f} to {accuracy.max():.3f}); "
            f"calibration error {before.mean():.4f} to {after.mean():.4f}, halved in {halved} of {SEEDS} "
            f"(of honest probabilities {chance.mean():.4f}, by chance); recall of {PROMISED} kept in {kept} "
            f"of {SEEDS} (least {recall.min():.3f}, mean {recall.mean():.3f}) at {false_calls.mean():.3f} "
            "false calls"
        )
    return "; ".join(told)


def _judged(probe: Any, table: Any, seed: int, l2: float | None) -> tuple[float, ...]:
    probe.datamodule.table = split = split_table(table, seed=seed, fractions=SHARES)
    probe.datamodule.seed, probe.datamodule.max_train_batches = seed, 5
    probe.classifier.hparams["temperature"] = 1.0
    probe.fit(l2=l2, class_weights=None, max_iterations=200)
    validation, test = probe.predictions("val"), probe.predictions("test")
    positive = table.positive_index
    decision = decide(
        validation,
        split.group[validation.index],
        positive=positive,
        rule=f"recall:{PROMISED}",
        calibrate=True,
    )
    honest = tempered(test.probability, decision.temperature)
    called = honest[:, positive] >= decision.threshold
    cracked = test.label == positive
    drawn = (np.random.default_rng(seed).random(len(honest)) < honest[:, 1]).astype(np.int64)
    before, after, chance = (
        calibration_error(label, probability, positive=positive)
        for label, probability in ((test.label, test.probability), (test.label, honest), (drawn, honest))
    )
    accuracy = float((test.probability.argmax(axis=1) == test.label).mean())
    return accuracy, before, after, chance, float(called[cracked].mean()), float(called[~cracked].mean())
