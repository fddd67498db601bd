"""The pictures of a search show what its trials found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import optuna
import pytest

from crack_lightning.sweep.search.figures import FEWEST, history_figure, search_pictures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def searched(number: int) -> optuna.Study:
    """A study whose loss one of two settings decides alone, and whose last trial was pruned."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(number):
        trial = study.ask()
        deciding, _ = trial.suggest_float("deciding", 0, 1), trial.suggest_float("idle", 0, 1)
        study.tell(trial, deciding**2)
    study.tell(study.ask(), state=optuna.trial.TrialState.PRUNED)
    return study


def axes_of(figure: Figure) -> Axes:
    [axes] = figure.axes
    return axes


def test_the_setting_that_decides_stands_on_top() -> None:
    pictures = search_pictures(searched(30), ["val/loss"])
    assert list(pictures) == ["history_val_loss.png", "importance_val_loss.png"]
    axes = axes_of(pictures["importance_val_loss.png"][0])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["idle", "deciding"]
    idle, deciding = (bar.get_width() for bar in axes.patches)  # type: ignore[attr-defined]
    assert deciding > 10 * idle


def test_of_few_trials_no_importance_is_told() -> None:
    assert list(search_pictures(searched(FEWEST - 1), ["val/loss"])) == ["history_val_loss.png"]
    assert search_pictures(searched(0), ["val/loss"]) == {}


@pytest.mark.parametrize(("maximise", "best"), [(True, [0.5, 0.5, 0.9]), (False, [0.5, 0.2, 0.2])])
def test_the_history_has_the_best_so_far(*, maximise: bool, best: list[float]) -> None:
    figure = history_figure({0: 0.5, 2: 0.2, 5: 0.9}, "score", maximise=maximise, pruned=[1])
    trial, so_far, ended = axes_of(figure).lines
    assert np.asarray(trial.get_xdata()).tolist() == [0, 2, 5]
    assert np.asarray(so_far.get_ydata()).tolist() == best
    assert np.asarray(ended.get_xdata()).tolist() == [1]
