"""Out-of-distribution tiles are further from training tiles than validation tiles are."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import kurtosis, skew

from crack_lightning.model.backends.inference_modules import collect_features
from crack_lightning.model.ood import detector as module
from crack_lightning.model.ood.detector import MAX_TRAINING_TILES, OODDetector, conformal_limit, sample
from crack_lightning.model.ood.image_statistics import NUM_STATISTICS, image_statistics

if TYPE_CHECKING:
    from collections.abc import Callable

    from crack_lightning.model.classifier import CrackClassifier


def inputs(seed: int, number: int, *, features: int = 6, apart: float = 0.0) -> torch.Tensor:
    drawn = torch.randn((number, NUM_STATISTICS + features), generator=torch.Generator().manual_seed(seed))
    return drawn + torch.cat([torch.full((NUM_STATISTICS,), apart), torch.ones(features)])


def test_distances_are_mahalanobis_of_statistics_and_euclidean_of_features() -> None:
    training, tested = inputs(0, 300), inputs(1, 20)
    found = OODDetector.fit(training, inputs(2, 200)).distances(tested)
    known, new = training[:, :NUM_STATISTICS].double().numpy(), tested[:, :NUM_STATISTICS].double().numpy()
    inverse = np.linalg.inv(np.cov(known.T, bias=True))
    expected = np.sort(cdist(new, known, "mahalanobis", VI=inverse), axis=1)[:, 4]
    np.testing.assert_allclose(found[0], expected, rtol=2e-3)
    unit = [
        part / np.linalg.norm(part, axis=1, keepdims=True)
        for part in (tested[:, NUM_STATISTICS:].numpy(), training[:, NUM_STATISTICS:].numpy())
    ]
    np.testing.assert_allclose(found[1], np.sort(cdist(*unit), axis=1)[:, 4], atol=2e-3)


def test_ninety_nine_of_a_hundred_new_tiles_of_the_same_kind_pass() -> None:
    marked = [
        float(
            (
                OODDetector.fit(inputs(3 * seed, 150), inputs(3 * seed + 1, 199)).score(
                    inputs(3 * seed + 2, 300)
                )
                > 1
            )
            .float()
            .mean()
        )
        for seed in range(40)
    ]
    assert np.mean(marked) == pytest.approx(0.01, abs=0.005)


@pytest.mark.parametrize(("number", "rank"), [(1, 1), (50, 50), (98, 98), (99, 99), (199, 198), (602, 597)])
def test_the_limit_is_the_conformal_quantile(number: int, rank: int) -> None:
    distances = torch.randperm(number, generator=torch.Generator().manual_seed(0)) + 1.0
    assert conformal_limit(distances) == rank


def test_other_statistics_are_out_of_distribution_whatever_the_features() -> None:
    detector = OODDetector.fit(inputs(0, 300), inputs(1, 300))
    assert (detector.score(inputs(2, 50, apart=5.0)) > 1).all()
    assert (detector.score(inputs(3, 50)) <= 1).float().mean() > 0.9


def test_without_features_the_score_is_of_statistics_alone() -> None:
    detector = OODDetector.fit(inputs(0, 300, features=0), inputs(1, 300, features=0))
    assert len(detector.distances(inputs(2, 5, features=0))) == 1
    assert (detector.score(inputs(2, 50, features=0, apart=5.0)) > 1).all()


def test_a_detector_of_other_shapes_is_refused() -> None:
    detector = OODDetector.fit(inputs(0, 30), inputs(1, 30))
    with pytest.raises(ValueError, match=r"image statistics a tile, got \[\(30, 3\)"):
        dataclasses.replace(detector, image_statistics=detector.image_statistics[:, :3])
    with pytest.raises(ValueError, match="expected features of 30 tiles, got 29"):
        dataclasses.replace(detector, features=detector.features[1:])


def test_distances_are_computed_for_a_bounded_number_of_tiles_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    training, tested = inputs(0, 300), inputs(1, 1030)
    at_once = module.OODDetector.fit(training, inputs(2, 500))
    expected = at_once.score(tested)
    held: list[int] = []
    kth_smallest = module._kth_smallest

    def watched(distances: torch.Tensor) -> torch.Tensor:
        held.append(distances.numel())
        return kth_smallest(distances)

    monkeypatch.setattr(module, "MAX_TILES_AT_ONCE", 100)
    monkeypatch.setattr(module, "_kth_smallest", watched)
    found = OODDetector.fit(training, inputs(2, 500))
    torch.testing.assert_close(found.score(tested), expected, rtol=1e-5, atol=1e-6)
    assert found.limit == pytest.approx(at_once.limit, rel=1e-5)
    assert max(held) == 100 * 300
    assert sum(held) == 2 * (500 + 1030) * 300


def test_a_tested_batch_leaves_its_scores_and_none_of_its_features(
    build_classifier: Callable[..., CrackClassifier],
) -> None:
    classifier = build_classifier(name="resnet10t").eval()
    images = torch.randint(256, (60, 3, 48, 48), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    with torch.inference_mode(), collect_features(classifier) as features:
        classifier(images)
    all_inputs = torch.cat([image_statistics(images), features[0]], dim=1)
    classifier.ood_detector = OODDetector.fit(all_inputs[:30], all_inputs[30:])
    with torch.inference_mode():
        for start in range(0, 60, 20):
            part = slice(start, start + 20)
            index, target = torch.arange(60)[part], torch.zeros(20, dtype=torch.int64)
            classifier.test_step({"image": images[part], "target": target, "index": index}, 0)
    torch.testing.assert_close(
        torch.cat(classifier.ood_scores), classifier.ood_detector.score(all_inputs), rtol=1e-3, atol=1e-3
    )
    kept = [value for name, value in vars(classifier).items() if isinstance(value, list) and value]
    assert max(_numbers(part) for part in kept) <= 60 * 5


def _numbers(kept: object) -> int:
    if isinstance(kept, torch.Tensor):
        return kept.numel()
    return sum(map(_numbers, kept)) if isinstance(kept, list | tuple) else 0


def test_a_sample_is_bounded_and_follows_the_seed() -> None:
    rows = np.arange(5, 5000)
    assert len(sample(rows, seed=0)) == len(np.unique(sample(rows, seed=0))) == MAX_TRAINING_TILES
    np.testing.assert_array_equal(sample(rows, seed=0), sample(rows, seed=0))
    assert (sample(rows, seed=0) != sample(rows, seed=1)).any()
    np.testing.assert_array_equal(sample(rows[:7], seed=0), rows[:7])


@pytest.mark.parametrize("size", [8, 22, 32, 45, 96, 160])
def test_statistics_of_any_size_are_finite_and_of_each_tile_alone(size: int) -> None:
    images = torch.randint(256, (4, 3, size, size), generator=torch.Generator().manual_seed(0)).to(
        torch.uint8
    )
    images[0], images[1] = 0, 255
    found = image_statistics(images)
    assert found.shape == (4, NUM_STATISTICS)
    assert found.isfinite().all()
    torch.testing.assert_close(image_statistics(images[2:3]), found[2:3], rtol=1e-4, atol=1e-4)


def test_statistics_begin_with_light_and_two_differences_of_colour() -> None:
    images = torch.randint(256, (2, 3, 48, 48), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    red, green, blue = images.double().numpy().transpose(1, 0, 2, 3) / 255
    channels = np.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue], axis=1)
    found = image_statistics(images).numpy()
    np.testing.assert_allclose(found[:, :3], channels.mean((2, 3)), atol=1e-5)
    light = channels[:, 0].reshape(2, -1)
    np.testing.assert_allclose(found[:, 3], np.log1p(np.abs(skew(light, axis=1))), atol=0.02)
    np.testing.assert_allclose(found[:, 4], np.log1p(kurtosis(light, axis=1, fisher=False)), atol=0.02)
