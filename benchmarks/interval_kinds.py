"""Coverage of each kind of interval: ``python benchmarks/interval_kinds.py``.

Simulated tests of photos of 20 tiles; the true values are those of 20,000 such photos. Scores are normal with
random effects of the photo on mean and contrast ("overlap"), or some tiles, by photo, have scores of the
other class ("lookalikes"). All photos, one in ten or one in twenty have cracks. The table is written to
``benchmarks/results/interval_kinds.md``.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import expit

from crack_lightning.evaluation.calibration import reliability
from crack_lightning.evaluation.classification import evaluate_predictions
from crack_lightning.evaluation.intervals.groups import group_codes
from crack_lightning.evaluation.intervals.metrics import uncertainty
from crack_lightning.evaluation.predictions import Predictions
from crack_lightning.evaluation.risk_coverage import area_intervals, aurc, risk_coverage
from crack_lightning.evaluation.slices import recall_by_width

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Figures = dict[str, tuple[float | None, float | None, float | None]]

RESULTS = Path(__file__).parent / "results"
TILES, TRUE_PHOTOS = 20, 20_000
CLASSES: dict[str, Any] = {"class_names": ["intact", "crack"], "positive_class": "crack"}
KINDS = ("accuracy", "recall_crack", "specificity", "precision_crack", "f1_crack", "balanced_accuracy", "mcc")
SCORED = ("auroc_crack", "average_precision_crack", "log_loss", "brier_score")


class Kind(NamedTuple):
    """A kind of test.

    Attributes:
        photos: Number of photos.
        cracked: Share of the photos with cracks; with 1 the share of cracked tiles varies by photo.
        distance: Distance of the mean scores of cracked and intact tiles, in standard deviations.
        lookalikes: Share of the tiles that look like the other class.
    """

    photos: int
    cracked: float = 1.0
    distance: float = 6.0
    lookalikes: float = 0.0


TESTS = (
    Kind(20, distance=1.5),
    Kind(60, distance=3.0),
    Kind(60, distance=4.5),
    Kind(60, distance=5.5),
    Kind(20, lookalikes=0.04),
    Kind(60, lookalikes=0.04),
    Kind(60, lookalikes=0.008),
    Kind(60, lookalikes=0.0015),
    Kind(30, cracked=0.1, lookalikes=0.04),
    Kind(60, cracked=0.1, lookalikes=0.008),
    Kind(100, cracked=0.05, distance=5.0),
)


class Test(NamedTuple):
    """A simulated test: predictions, photos and crack widths (NaN without a crack)."""

    predictions: Predictions
    photo: NDArray[np.int64]
    width_px: NDArray[np.float64]


def drawn(kind: Kind, photos: int, rng: np.random.Generator) -> Test:
    """Simulate a test."""
    photo = np.repeat(np.arange(photos), TILES)
    half = np.where(rng.random(photos) < kind.cracked, 0.5, 0.0)
    share = rng.beta(2, 2, photos) if kind.cracked == 1 else half
    label = (rng.random(len(photo)) < share[photo]).astype(np.int64)
    contrast, light = rng.normal(1, 0.15, photos)[photo], rng.normal(0, 0.4, photos)[photo]
    apparent = label
    if kind.lookalikes:
        chance = rng.beta(kind.lookalikes * 4, (1 - kind.lookalikes) * 4, photos)[photo]
        apparent = np.where(rng.random(len(photo)) < chance, 1 - label, label)
    score = kind.distance * contrast * apparent + light + rng.normal(size=len(photo))
    crack = expit(0.8 * kind.distance * (score - kind.distance / 2))
    predictions = Predictions(
        index=np.arange(len(photo)), label=label, probability=np.stack([1 - crack, crack], axis=1)
    )
    return Test(predictions, photo, np.where(label == 1, np.exp(rng.uniform(0, 2, len(photo))), np.nan))


def figures(test: Test, *, intervals: bool) -> Figures:
    """Return value and limits of every metric; ``None`` as limits without intervals."""
    predictions, label = test.predictions, test.predictions.label
    called = predictions.probability[:, 1] >= 0.5
    metrics = evaluate_predictions(predictions, **CLASSES)["metrics"]
    codes, doubt = group_codes(test.photo.astype(np.str_)), -predictions.probability.max(axis=1)
    wrong, cracked = called != (label == 1), label == 1
    sure = uncertainty(predictions, test.photo.astype(np.str_), **CLASSES)["intervals"] if intervals else {}
    found: Figures = {name: _with_limits(metrics[name], sure.get(name)) for name in (*KINDS, *SCORED)}
    calibration = reliability(label, predictions.probability, codes if intervals else codes * 0, positive=1)
    found["ECE"] = _with_limits(calibration["expected_calibration_error"], calibration["interval"])
    areas = area_intervals({"AURC": doubt}, wrong, codes) if intervals else {}
    limits = areas["AURC"]._asdict() if areas else None
    found["AURC"] = _with_limits(aurc(risk_coverage(doubt, wrong)), limits)
    narrow = recall_by_width(test.width_px[cracked], called[cracked], codes[cracked])[0]
    found["recall of narrow cracks"] = _with_limits(narrow["recall"], narrow["interval"])
    return found


def _with_limits(
    value: float | None, limits: Mapping[str, float] | None
) -> tuple[float | None, float | None, float | None]:
    return (value, None, None) if limits is None else (value, limits["low"], limits["high"])


def cell(number: int, experiments: int) -> dict[str, tuple[float, float]]:
    """Return coverage and mean width of the interval of each metric for a kind of test."""
    kind, rng = TESTS[number], np.random.default_rng(number)
    truth = figures(drawn(kind, TRUE_PHOTOS, rng), intervals=False)
    rows: dict[str, list[tuple[bool, float]]] = {name: [] for name in truth}
    for _ in range(experiments):
        for name, (_, low, high) in figures(drawn(kind, kind.photos, rng), intervals=True).items():
            true = truth[name][0]
            if low is not None and high is not None and true is not None:
                rows[name].append((low <= true <= high, high - low))
    shares = {name: np.mean(held, axis=0).tolist() for name, held in rows.items() if held}
    return {"true AUROC": (float(truth["auroc_crack"][0] or 0), 0.0), **shares}


def main() -> None:
    """Simulate every kind of test and print the table, one row per metric."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=200)
    experiments = parser.parse_args().experiments
    with ProcessPoolExecutor(2) as pool:
        cells = list(pool.map(partial(cell, experiments=experiments), range(len(TESTS))))
    names = [
        f"{kind.photos} photos{f', {kind.cracked:.0%} with cracks' if kind.cracked < 1 else ''}, "
        f"{'lookalikes' if kind.lookalikes else 'overlap'}, AUROC {found.pop('true AUROC')[0]:.4f}"
        for kind, found in zip(TESTS, cells, strict=True)
    ]
    lines = [f"| coverage (mean width) | {' | '.join(names)} |", f"| --- |{' ---: |' * len(names)}"]
    for name in cells[0]:
        cells_of_row = [
            f"{found[name][0]:.1%} ({found[name][1]:.3f})" if name in found else "-" for found in cells
        ]
        lines.append(f"| {name.replace('_crack', '').replace('_', ' ')} | {' | '.join(cells_of_row)} |")
    print("\n".join(lines))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "interval_kinds.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
