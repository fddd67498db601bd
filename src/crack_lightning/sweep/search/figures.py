"""Figures of a search for the comparison: history of scores, importance of settings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import StudyDirection
from optuna.trial import TrialState

from crack_lightning.comparison.search_figures import history_figure, importance_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from optuna import Study
    from optuna.trial import FrozenTrial

FEWEST = 4
"""Smallest number of different scores for which importance is computed; below, it is noise."""

_LEVELS = 6  # of a tree: without a limit the time of an importance grows with the square of the trials


def search_pictures(study: Study, objectives: Sequence[str]) -> dict[str, tuple[Figure, str]]:
    """Return each objective's history and, from four different scores on, the importance of settings for it.

    Importance is the share of variance by functional ANOVA over random forests (Hutter, Hoos, Leyton-Brown,
    ICML 2014), of the settings that every finished trial has.

    Returns:
        Figure and caption by file name.
    """
    trials = study.get_trials(deepcopy=False)
    pruned = [trial.number for trial in trials if trial.state == TrialState.PRUNED]
    pictures: dict[str, tuple[Figure, str]] = {}
    for place, name in enumerate(objectives):
        scores = {trial.number: trial.values[place] for trial in trials if trial.values}
        if not scores:
            continue
        ending = name.replace("/", "_")
        maximise = study.directions[place] == StudyDirection.MAXIMIZE
        history = history_figure(scores, name, maximise=maximise, pruned=pruned)
        pictures[f"history_{ending}.png"] = history, f"{name} of each trial, and the best so far"
        if len(set(scores.values())) >= FEWEST:
            importance = get_param_importances(
                study,
                evaluator=FanovaImportanceEvaluator(seed=0, max_depth=_LEVELS),
                target=partial(_value, place=place),
            )
            if importance:
                figure = importance_figure(importance, name)
                pictures[f"importance_{ending}.png"] = figure, f"Which settings decide {name}"
    return pictures


def _value(trial: FrozenTrial, *, place: int) -> float:
    return float(trial.values[place])
