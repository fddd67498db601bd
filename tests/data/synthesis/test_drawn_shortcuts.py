"""What drawn tiles show of the world: no statistic but the crack itself tells cracked ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from crack_lightning.data.synthesis import drawn_tiles
from crack_lightning.data.synthesis.distractors import DISTRACTORS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> TileTable:
    return drawn_tiles.load(seed=11, num_tiles=1500, num_workers=2, cache=tmp_path_factory.mktemp("many"))


@pytest.fixture(scope="module")
def images(many: TileTable) -> list[NDArray[Any]]:
    return [np.asarray(cv2.imread(str(many.root / path))) for path in many.path]


@pytest.mark.slow
def test_distractors_are_about_as_frequent_on_cracked_tiles_as_on_intact_ones(many: TileTable) -> None:
    for kind in (kind for kind, one in DISTRACTORS.items() if one.photo_share):
        has = np.array([kind in str(cell).split("+") for cell in many.extra["distractors"]])
        cracked, intact = has[many.label == 1].mean(), has[many.label == 0].mean()
        assert abs(cracked - intact) < 0.1, kind
        assert has.mean() > 0.004, kind


@pytest.mark.slow
def test_widths_reach_from_hairlines_to_wide_cracks_and_most_are_wide(many: TileTable) -> None:
    widths = many.extra["crack_width_px"][many.label == 1].astype(float)

    assert 0.02 < (widths < 1.5).mean() < 0.15
    assert (widths > 6).mean() > 0.25
    assert (widths > 3).mean() > 0.6


@pytest.mark.slow
def test_colour_statistics_alone_do_not_find_cracks(many: TileTable, images: list[NDArray[Any]]) -> None:
    assert logistic_accuracy(np.array([colour_features(image) for image in images]), many) < 0.75


@pytest.mark.slow
def test_line_filters_alone_do_not_find_cracks(many: TileTable, images: list[NDArray[Any]]) -> None:
    assert logistic_accuracy(np.array([line_features(image) for image in images]), many) < 0.85


def colour_features(image: NDArray[Any]) -> NDArray[Any]:
    bins = [np.histogram(image[..., channel], 16, (0, 256))[0] for channel in range(3)]
    return np.concatenate([image.mean(axis=(0, 1)), image.std(axis=(0, 1)), *bins])


def line_features(image: NDArray[Any]) -> NDArray[Any]:
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    light = grey.astype(np.float32)
    maps = []
    for size in (5, 9, 15, 25):
        element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        maps.append(cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, element))
    maps.append(np.hypot(cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1)))
    for angle in np.arange(0, np.pi, np.pi / 4):
        for wavelength in (5, 9):
            kernel = cv2.getGaborKernel((15, 15), 2.5, float(angle), wavelength, 0.6)
            maps.append(np.abs(cv2.filter2D(light, cv2.CV_32F, kernel - kernel.mean())))
    ranks = [np.percentile(values, (5, 25, 50, 75, 90, 95, 98, 99.5)) for values in maps]
    return np.concatenate([*ranks, [values.mean() for values in maps]])


def logistic_accuracy(features: NDArray[Any], table: TileTable) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=3000))
    guess = cross_val_predict(model, features, table.label, groups=table.group, cv=GroupKFold(5))
    return float((guess == table.label).mean())
