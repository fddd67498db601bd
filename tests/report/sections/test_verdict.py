from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crack_lightning.evaluation.classification import evaluate_predictions
from crack_lightning.evaluation.predictions import Predictions
from crack_lightning.report.sections.verdict import verdict, warnings

CONFUSIONS = {
    "some of both": (
        [[588, 12], [3, 597]],
        "12 of 600 crack tiles missed; false alarms on 3 of 600 intact tiles.",
    ),
    "no error": ([[5, 0], [0, 5]], "none of 5 crack tiles missed; false alarms on none of 5 intact tiles."),
    "no crack": (
        [[0, 0], [1, 9]],
        "no crack tile was tested; false alarms on 1 of 10 intact tiles.",
    ),
    "only cracks": (
        [[9, 1], [0, 0]],
        "1 of 10 crack tiles missed; no intact tile was tested.",
    ),
}


def figures_of(confusion: list[list[int]], *, positive: str | None = "crack") -> dict[str, Any]:
    counts = np.array(confusion)
    truth, called = np.repeat(np.indices(counts.shape).reshape(2, -1), counts.ravel(), axis=1)
    return evaluate_predictions(
        Predictions(index=np.arange(len(truth)), label=truth, probability=np.eye(len(counts))[called]),
        class_names=("crack", "intact", "spall")[: len(counts)],
        positive_class=positive,
    )


@pytest.mark.parametrize("case", CONFUSIONS)
def test_the_verdict_counts_misses_and_false_alarms(case: str) -> None:
    confusion, expected = CONFUSIONS[case]
    assert verdict(figures_of(confusion), positive_class="crack").endswith(f" tiles: {expected}")


def test_the_verdict_gives_accuracy_and_auroc_with_their_intervals() -> None:
    intervals = {"accuracy": {"low": 0.97, "high": 0.99}, "auroc_crack": {"low": 0.95, "high": 1.0}}
    sentence = verdict(figures_of([[9, 1], [0, 10]]), positive_class="crack", intervals=intervals)
    assert sentence.startswith("Accuracy 95.00 % (95 % CI 97.00 to 99.00 %) on 20 test tiles:")
    assert sentence.endswith(" AUROC 0.9500 (95 % CI 0.9500 to 1.0000).")


@pytest.mark.parametrize(
    ("confusion", "positive", "start"),
    [
        ([[588, 12], [3, 597]], "crack", "Accuracy 98.75 % on 1,200 test tiles:"),
        ([[30_000, 1], [0, 30_000]], "crack", "Accuracy over 99.99 % on 60,001 test tiles:"),
        (
            [[9, 1, 0], [0, 10, 0], [4, 0, 6]],
            None,
            (
                "Accuracy 83.33 % on 30 test tiles of 3 classes: 5 tiles predicted wrongly; "
                "lowest recall 60.00 %, spall, 10 tiles."
            ),
        ),
        (
            [[2, 0, 0], [0, 3, 0], [0, 0, 5]],
            None,
            "Accuracy 100 % on 10 test tiles of 3 classes: no error.",
        ),
    ],
)
def test_the_verdict_opens_with_the_accuracy_and_without_a_positive_class_names_the_worst_class(
    confusion: list[list[int]], positive: str | None, start: str
) -> None:
    assert verdict(figures_of(confusion, positive=positive), positive_class=positive).startswith(start)


def test_the_verdict_of_more_classes_counts_cracks_where_one_class_is_positive() -> None:
    figures = figures_of([[9, 1, 0], [0, 10, 0], [4, 0, 6]])
    assert "1 of 10 crack tiles missed; false alarms on 4 of 20 other tiles;" in verdict(
        figures, positive_class="crack"
    )


def test_a_good_test_needs_no_warning() -> None:
    assert warnings(figures_of([[9, 1], [0, 10]])) == []


def test_an_untested_class_gives_a_warning() -> None:
    (warning,) = warnings(figures_of([[0, 0], [1, 9]]))
    assert "No test tile is of class crack" in warning


def ranked(scores: list[float], truth: list[int], *, threshold: float = 0.5) -> dict[str, Any]:
    score = np.array(scores)
    return evaluate_predictions(
        Predictions(
            index=np.arange(len(truth)), label=np.array(truth), probability=np.stack([score, 1 - score], 1)
        ),
        class_names=("crack", "intact"),
        positive_class="crack",
        threshold=threshold,
    )


def test_a_good_auroc_with_a_bad_threshold_gives_advice() -> None:
    """Three cracks among ten tiles, all scored below the threshold: 20 of 21 pairs are in order."""
    scores = [0.45, 0.4, 0.2, 0.25, *[0.1] * 6]
    found = ranked(scores, [0] * 3 + [1] * 7, threshold=0.62)
    (warning,) = warnings(found)
    assert "At the threshold of 0.62 the accuracy is no better than" in warning
    assert "which gives 70.00 %" in warning
    assert f"AUROC {20 / 21:.4f}" in warning
    assert "predict threshold=<value>" in warning


@pytest.mark.parametrize("scores", [[0.1, 0.2, 0.3], [0.1, 0.45, 0.1]])
def test_a_bad_auroc_gives_no_advice_on_the_threshold(scores: list[float]) -> None:
    (warning,) = warnings(ranked([*scores, *[0.3, 0.2, 0.1, 0.4, 0.2, 0.3, 0.1]], [0] * 3 + [1] * 7))
    assert "no better than predicting the most frequent class for every tile, which gives 70.00 %" in warning
    assert "threshold" not in warning
