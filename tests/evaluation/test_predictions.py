from __future__ import annotations

import numpy as np
import pytest

from crack_lightning.evaluation.predictions import Predictions, predicted_labels


def test_rows_come_back_in_the_tables_order_with_their_own_label_and_probability() -> None:
    shuffled = Predictions(
        index=np.array([9, 2, 5]),
        label=np.array([1, 0, 1]),
        probability=np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], dtype=np.float32),
    )
    ordered = shuffled.in_table_order()
    assert ordered.index.tolist() == [2, 5, 9]
    assert ordered.label.tolist() == [0, 1, 1]
    assert ordered.probability.tolist() == shuffled.probability[[1, 2, 0]].tolist()


@pytest.mark.parametrize(
    ("index", "first", "reason"), [(4, 0.5, "a tile was predicted twice"), (5, np.nan, "not finite")]
)
def test_repeated_tiles_and_undefined_probabilities_are_refused(
    index: int, first: float, reason: str
) -> None:
    probability = np.array([[first, 0.5], [0.5, 0.5]])
    with pytest.raises(AssertionError, match=reason):
        Predictions(index=np.array([4, index]), label=np.array([0, 1]), probability=probability)


@pytest.mark.parametrize("positive", [0, 1])
def test_the_positive_class_is_predicted_from_the_threshold_on(positive: int) -> None:
    score = np.array([0.29, 0.3, 0.31, 0.9])
    probability = np.stack([score, 1 - score], axis=1)[:, :: 1 if positive == 0 else -1]
    called = predicted_labels(probability, positive_index=positive, threshold=0.3) == positive
    assert called.tolist() == [False, True, True, True]


def test_more_classes_take_the_most_probable_one() -> None:
    probability = np.array([[0.2, 0.5, 0.3], [0.4, 0.3, 0.3]])
    assert predicted_labels(probability, positive_index=2, threshold=0.1).tolist() == [1, 0]
