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


def test_a_tile_predicted_twice_is_refused() -> None:
    with pytest.raises(AssertionError, match="predicted twice"):
        Predictions(index=np.array([4, 4]), label=np.array([0, 1]), probability=np.full((2, 2), 0.5))


def test_a_probability_that_is_not_finite_is_refused() -> None:
    with pytest.raises(AssertionError, match="not finite"):
        Predictions(index=np.array([4]), label=np.array([0]), probability=np.array([[np.nan, 0.5]]))


@pytest.mark.parametrize("positive", [0, 1])
def test_the_positive_class_is_predicted_from_the_threshold_on(positive: int) -> None:
    score = np.array([0.29, 0.3, 0.31, 0.9])
    probability = np.stack([score, 1 - score], axis=1)[:, :: 1 if positive == 0 else -1]
    called = predicted_labels(probability, positive_index=positive, threshold=0.3) == positive
    assert called.tolist() == [False, True, True, True]


def test_more_classes_take_the_most_probable_one() -> None:
    probability = np.array([[0.2, 0.5, 0.3], [0.4, 0.3, 0.3]])
    assert predicted_labels(probability, positive_index=2, threshold=0.1).tolist() == [1, 0]
