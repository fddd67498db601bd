"""A prediction is the same in threads, forked processes, copies and batches of any size."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from crack_lightning.inference.maps.crack_map import CrackMapper
from crack_lightning.inference.predictor import Predictor
from crack_lightning.model.backends.inference_modules import inference_network
from crack_lightning.model.backends.select import prepare_backend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crack_lightning.model.classifier import CrackClassifier

    Build = Callable[..., CrackClassifier]

RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 256, (40 + 9 * k, 90, 3), dtype=np.uint8) for k in range(7)]


@pytest.fixture
def predictor(build_classifier: Build) -> Predictor:
    return Predictor(build_classifier(temperature=1.0, threshold=0.5).eval())


def predict_in_child(predictor: Predictor, queue: Any) -> None:
    queue.put(predictor.predict(PICTURES).probabilities)


def forked(predictor: Predictor) -> Any:
    """Return the probabilities that a forked child computes; a child that hangs fails the test."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=predict_in_child, args=(predictor, queue))
    child.start()
    try:
        return queue.get(timeout=60)
    finally:
        child.kill()
        child.join()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_used_predictor_predicts_in_a_forked_process(predictor: Predictor) -> None:
    expected = predictor.predict(PICTURES).probabilities
    torch.nn.functional.conv2d(torch.rand(8, 3, 99, 99), torch.rand(8, 3, 3, 3))  # threads of the caller's
    np.testing.assert_array_equal(forked(predictor), expected)
    np.testing.assert_array_equal(predictor.predict(PICTURES).probabilities, expected)


@pytest.mark.usefixtures("openvino")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_an_engine_of_openvino_survives_fork_and_pickle(build_classifier: Build, tmp_path: Path) -> None:
    classifier = build_classifier(temperature=1.0, threshold=0.5).eval()
    settings: dict[str, Any] = {"wanted": "openvino", "image_size": 48, "threads": 2, "key": "engine"}
    _, compute = prepare_backend(inference_network(classifier), cache=tmp_path, **settings)
    predictor = Predictor(classifier, compute=compute)
    expected = predictor.predict(PICTURES).probabilities
    np.testing.assert_allclose(forked(predictor), expected, atol=1e-6)
    again = pickle.loads(pickle.dumps(predictor))  # noqa: S301 - our own
    np.testing.assert_allclose(again.predict(PICTURES).probabilities, expected, atol=1e-6)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])  # noqa: S301
def test_a_copy_gives_the_same_answers(predictor: Predictor, copied: Callable[[Any], Any]) -> None:
    expected = predictor.predict(PICTURES).probabilities
    np.testing.assert_array_equal(copied(predictor).predict(PICTURES).probabilities, expected)


def test_a_mapper_can_be_pickled(build_classifier: Build) -> None:
    model = build_classifier(name="resnet18", head="local", temperature=1.0, threshold=0.5, image_size=64)
    mapper = CrackMapper(model.eval())
    again = pickle.loads(pickle.dumps(mapper))  # noqa: S301 - our own
    np.testing.assert_array_equal(again.map(PICTURES[0]).cells, mapper.map(PICTURES[0]).cells)


@pytest.mark.parametrize("batch_size", [1, 3, np.int64(7), 10**30])
def test_a_picture_gets_the_same_answer_alone_and_in_any_batch(predictor: Predictor, batch_size: Any) -> None:
    alone = np.concatenate([predictor.predict(picture).probabilities for picture in PICTURES])
    mixed: list[Any] = [*PICTURES[:3], "nowhere.png", *PICTURES[3:]]
    answers = predictor.predict(iter(mixed), batch_size=batch_size)
    np.testing.assert_allclose(np.delete(answers.probabilities, 3, axis=0), alone, atol=1e-6)
    assert (answers.labels[3], answers.problems[3]) == ("", "no such file")
    assert np.isnan(answers.probabilities[3]).all()


def test_threads_at_once_get_the_same_answers(predictor: Predictor) -> None:
    expected = predictor.predict(PICTURES).probabilities
    with ThreadPoolExecutor(6) as pool:
        for answers in pool.map(lambda size: predictor.predict(PICTURES, batch_size=size), [1, 2, 3, 4] * 3):
            np.testing.assert_allclose(answers.probabilities, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("batch_size", "error"),
    [(0, ValueError), (-1, ValueError), (True, TypeError), (1.5, TypeError), ("8", TypeError)],
)
def test_a_batch_size_is_a_whole_number_from_one_on(
    predictor: Predictor, batch_size: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match=f"batch_size: expected .* but got {batch_size!r}"):
        predictor.predict([], batch_size=batch_size)
    with pytest.raises(error, match="batch_size"):
        predictor.stream([], batch_size=batch_size)


def test_a_threshold_that_is_given_calls(predictor: Predictor) -> None:
    probabilities = np.sort(predictor.predict(PICTURES).probabilities[:, 1])
    between = float((probabilities[2] + probabilities[3]) / 2)
    answers = predictor.predict(PICTURES, threshold=between)
    assert answers.labels.count("crack") == 4
    assert (answers.threshold, predictor.predict([]).threshold) == (between, 0.5)


@pytest.mark.parametrize("threshold", [0, 1, -0.5, float("nan"), True, "0.5"])
def test_a_threshold_lies_between_0_and_1(predictor: Predictor, threshold: Any) -> None:
    with pytest.raises(ValueError, match=f"threshold: expected a number .* but got {threshold!r}"):
        predictor.predict(PICTURES, threshold=threshold)


def test_a_model_of_three_classes_takes_no_threshold(build_classifier: Build) -> None:
    model = build_classifier(class_names=["intact", "crack", "spall"], temperature=1.0, threshold=0.5)
    with pytest.raises(ValueError, match="a model of two classes but got intact, crack, spall"):
        Predictor(model.eval()).predict(PICTURES, threshold=0.3)
