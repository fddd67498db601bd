"""The verdict of a report, and the warnings below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.report.render.formatting import in_brackets, number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACCEPTABLE_AUROC = 0.7
"""AUROC that is called acceptable; Hosmer et al., "Applied Logistic Regression", 3rd ed., 2013, 5.2.4."""


def verdict(
    figures: Mapping[str, Any],
    *,
    positive_class: str | None,
    intervals: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """Return the result of a test in one or two sentences.

    Args:
        figures: The result of ``evaluate_predictions``.
        positive_class: The class whose misses and false alarms count; ``None`` when there is none.
        intervals: 95 % intervals by metric.
    """
    metrics, classes, limits = figures["metrics"], figures["classes"], intervals or {}
    kinds = f" of {len(classes)} classes" if len(classes) > 2 else ""
    accuracy = f"{percent(metrics['accuracy'])}{in_brackets(limits.get('accuracy'), percent)}"
    parts = []
    if positive_class is not None:
        parts += [_misses(figures, positive_class), _false_alarms(figures, positive_class)]
    if positive_class is None or len(classes) > 2:
        parts += _errors_by_class(figures)
    key = "auroc_macro" if positive_class is None else f"auroc_{positive_class}"
    ranking = ""
    if metrics[key] is not None and intervals is not None:
        ranking = f" AUROC {number(metrics[key])}{in_brackets(limits.get(key), number)}."
    return f"Accuracy {accuracy} on {_tiles(metrics['tiles'], 'test')}{kinds}: {'; '.join(parts)}.{ranking}"


def warnings(figures: Mapping[str, Any]) -> list[str]:
    """Return warnings: classes without test tiles, and an accuracy no better than without a model.

    Args:
        figures: The result of ``evaluate_predictions``.
    """
    metrics, classes = figures["metrics"], figures["classes"]
    found = []
    if empty := [name for name, row in classes.items() if row["support"] == 0]:
        found.append(
            f"No test tile is of class {', '.join(empty)}: metrics that need one are undefined (-), and "
            "averages over classes leave it out."
        )
    if len(classes) > len(empty) + 1 and metrics["accuracy"] <= metrics["majority_class_accuracy"]:
        found.append(_no_better_than_one_class(figures))
    return found


def _no_better_than_one_class(figures: Mapping[str, Any]) -> str:
    """Return a warning on the accuracy; with an acceptable AUROC it recommends another threshold."""
    metrics, threshold = figures["metrics"], figures["threshold"]
    share = percent(metrics["majority_class_accuracy"])
    baseline = f"predicting the most frequent class for every tile, which gives {share}"
    ranking = next(iter(figures["classes"].values()))["auroc"]  # equal for both of two classes
    if threshold is None or ranking is None or ranking < _ACCEPTABLE_AUROC:
        return f"The accuracy is no better than {baseline}."
    return (
        f"At the threshold of {threshold:.3g} the accuracy is no better than {baseline}; but the ranking is "
        f"good (AUROC {number(ranking)}): the threshold does not suit these tiles. Choose another on "
        "labelled tiles like these (train evaluation.threshold=f1 chooses one on validation tiles), and "
        "use it by predict threshold=<value>."
    )


def _errors_by_class(figures: Mapping[str, Any]) -> list[str]:
    errors = figures["metrics"]["errors"]
    if errors == 0:
        return ["no error"]
    tested = {name: row for name, row in figures["classes"].items() if row["support"]}
    worst = min(tested, key=lambda name: tested[name]["recall"])
    recall, tiles = tested[worst]["recall"], tested[worst]["support"]
    return [
        f"{_tiles(errors)} predicted wrongly",
        f"lowest recall {percent(recall)}, {worst}, {_tiles(tiles)}",
    ]


def _misses(figures: Mapping[str, Any], positive_class: str) -> str:
    missed, tiles = figures["metrics"]["false_negatives"], figures["classes"][positive_class]["support"]
    if tiles == 0:
        return f"no {positive_class} tile was tested"
    return f"{number(missed) if missed else 'none'} of {tiles:,} {positive_class} tiles missed"


def _false_alarms(figures: Mapping[str, Any], positive_class: str) -> str:
    alarms = figures["metrics"]["false_positives"]
    others = [name for name in figures["classes"] if name != positive_class]
    tiles = figures["metrics"]["tiles"] - figures["classes"][positive_class]["support"]
    kind = others[0] if len(others) == 1 else "other"
    if tiles == 0:
        return f"no {kind} tile was tested"
    return f"false alarms on {number(alarms) if alarms else 'none'} of {tiles:,} {kind} tiles"


def _tiles(count: int, kind: str = "") -> str:
    return f"{count:,} {f'{kind} ' if kind else ''}tile{'s' * (count != 1)}"
