from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from crack_lightning.report.figures import curves

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Render = Callable[[Figure], NDArray[np.uint8]]


def texts_of(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_each_cell_of_the_confusion_matrix_shows_its_count_and_share() -> None:
    figure = curves.confusion_figure(np.array([[1_988, 12], [0, 50]]), ["crack", "intact"])
    assert texts_of(figure) == ["1,988\n99.40 %", "12\n0.60 %", "0\n0 %", "50\n100 %"]


def test_an_untested_class_does_not_break_the_confusion_matrix(render_figure: Render) -> None:
    figure = curves.confusion_figure(np.array([[0, 0], [1, 3]]), ["crack", "intact"])
    assert render_figure(figure).std() > 0


@pytest.mark.parametrize("num_classes", [3, 12])
def test_many_classes_with_long_names_can_be_drawn(num_classes: int, render_figure: Render) -> None:
    names = [f"a very long class name, number {number}" for number in range(num_classes)]
    figure = curves.confusion_figure(np.eye(num_classes, dtype=np.int64), names)
    pixels = render_figure(figure)
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3


def test_a_curve_is_drawn_through_its_points_and_named_with_its_area() -> None:
    curve = {"false_positive_rate": [0.0, 0.25, 1.0], "true_positive_rate": [0.0, 0.5, 1.0]}
    figure = curves.roc_figure({"crack": curve, "rust": None}, {"crack": 0.625, "rust": None}, None)
    (axes,) = figure.axes
    line = axes.lines[-1]
    assert line.get_xydata().tolist() == [[0.0, 0.0], [0.25, 0.5], [1.0, 1.0]]  # type: ignore[union-attr]
    assert line.get_label() == "crack: AUROC 0.6250"


def test_classes_whose_names_begin_alike_have_a_curve_each() -> None:
    curve = {"recall": [0.0, 1.0], "precision": [1.0, 0.5]}
    names = [f"a very long class name, number {number}" for number in range(3)]
    shares = dict.fromkeys(names, 0.5)
    figure = curves.pr_figure(dict.fromkeys(names, curve), shares, shares, None)
    assert len(figure.axes[0].lines) == 3


def test_a_nearly_perfect_curve_gets_its_corner_enlarged() -> None:
    curve = {"false_positive_rate": [0.0, 0.01, 1.0], "true_positive_rate": [0.0, 1.0, 1.0]}
    good = curves.roc_figure({"crack": curve}, {"crack": 0.995}, curves.OperatingPoint(0.01, 1.0, 0.5))
    poor = curves.roc_figure({"crack": curve}, {"crack": 0.8}, None)
    assert [len(figure.axes[0].child_axes) for figure in (good, poor)] == [1, 0]


def test_a_history_skips_epochs_without_a_value() -> None:
    history = [
        {"epoch": 0, "train/loss": 3.0, "val/loss": float("nan")},
        {"epoch": 1, "train/loss": 2.0},
        {"epoch": 2, "train/loss": 1.0, "val/loss": 1.5},
    ]
    figure = curves.history_figure(history, "loss", best_epoch=2)
    training, validation, _ = figure.axes[0].lines
    assert training.get_xydata().tolist() == [[0, 3], [1, 2], [2, 1]]  # type: ignore[union-attr]
    assert validation.get_xydata().tolist() == [[2, 1.5]]  # type: ignore[union-attr]


@pytest.mark.parametrize(("last", "scale"), [(0.01, "log"), (0.5, "linear"), (0.0, "linear")])
def test_a_loss_that_falls_far_is_drawn_on_a_logarithmic_axis(last: float, scale: str) -> None:
    history = [{"epoch": 0, "train/loss": 1.0}, {"epoch": 1, "train/loss": last}]
    axes = curves.history_figure(history, "loss", best_epoch=None).axes[0]
    assert axes.get_yscale() == scale
    assert ("logarithmic" in axes.get_ylabel()) == (scale == "log")


def test_a_single_epoch_can_be_drawn(render_figure: Render) -> None:
    figure = curves.history_figure([{"epoch": 0, "train/accuracy": 0.5}], "accuracy", best_epoch=None)
    assert render_figure(figure).std() > 0
