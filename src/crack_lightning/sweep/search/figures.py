"""Figures of a search for the comparison: history of scores, importance of settings."""

from __future__ import annotations

from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import StudyDirection
from optuna.trial import TrialState

from crack_lightning.report.figures.style import BLUE, GREY, ORANGE, panel, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure
    from optuna import Study
    from optuna.trial import FrozenTrial

FEWEST = 4
"""Smallest number of different scores for which importance is computed; below, it is noise."""

_BARS = 12
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


def history_figure(
    done: Mapping[int, float], objective: str, *, maximise: bool, pruned: Sequence[int] = ()
) -> Figure:
    """Draw the score of each trial and the best so far.

    Args:
        done: Score by trial number.
        objective: Name of the score.
        maximise: Whether to maximise it.
        pruned: Numbers of the pruned trials, marked below.
    """
    figure, axes = panel("Search", "trial", objective)
    numbers = sorted(done)
    scores = [done[number] for number in numbers]
    axes.plot(numbers, scores, "o", color=BLUE, markersize=6, label="trial")
    best = list(accumulate(scores, max if maximise else min))
    axes.step(numbers, best, where="post", color=ORANGE, linewidth=2.0, linestyle="--", label="best so far")
    if pruned:
        low = [0.02] * len(pruned)
        transform = axes.get_xaxis_transform()
        axes.plot(pruned, low, "x", color=GREY, transform=transform, label="pruned")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=10)
    return figure


def importance_figure(importance: Mapping[str, float], objective: str) -> Figure:
    """Draw the importance of settings: the share of the score's variance that each explains (fANOVA).

    Args:
        importance: Share by setting, in ``[0, 1]``; the twelve largest are drawn.
        objective: Name of the score.
    """
    rows = sorted(importance.items(), key=lambda row: row[1])[-_BARS:]
    size = (6.4, max(2.4, 1.6 + 0.4 * len(rows)))
    figure, axes = panel(f"Importance for {objective}", "share of variance (fANOVA)", "", size=size)
    axes.barh([short(key, 32) for key, _ in rows], [share for _, share in rows], color=BLUE)
    for place, (_, share) in enumerate(rows):
        axes.annotate(
            f"{share:.2f}", (share, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9
        )
    axes.set_xlim(0, 1.12 * max(share for _, share in rows) or 1)
    return figure
