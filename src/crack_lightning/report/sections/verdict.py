"""What the figures of a test mean, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


_RANKS_WELL = 0.7
"""AUROC that is called acceptable; Hosmer et al., "Applied Logistic Regression", 3rd ed., 2013, 5.2.4."""


def verdict(figures: Mapping[str, Any], *, positive_class: str | None) -> str:
    """Say in a sentence or two how the test went.

    Args:
        figures: What ``evaluate_predictions`` returned.
        positive_class: The class whose misses and false alarms count; ``None`` when there is none.
    """
    metrics, classes = figures["metrics"], figures["classes"]
    kinds = f" of {len(classes)} classes" if len(classes) > 2 else ""
    opening = f"Test accuracy {percent(metrics['accuracy'])} on {metrics['tiles']:,} tiles{kinds}"
    parts = []
    if positive_class is not None:
        parts += [_misses(figures, positive_class), _false_alarms(figures, positive_class)]
    if positive_class is None or len(classes) > 2:
        parts += _errors_by_class(figures)
    return f"{opening}: {'; '.join(parts)}."


def warnings(figures: Mapping[str, Any]) -> list[str]:
    """Say what a reader would otherwise read too much into, a sentence each."""
    metrics, classes = figures["metrics"], figures["classes"]
    found = []
    if empty := [name for name, row in classes.items() if row["support"] == 0]:
        found.append(
            f"No tested tile is of class {', '.join(empty)}: figures that need one are undefined (-), and "
            "averages over classes leave it out."
        )
    if len(classes) > len(empty) + 1 and metrics["accuracy"] <= metrics["majority_class_accuracy"]:
        found.append(_no_better_than_one_class(figures))
    return found


def _no_better_than_one_class(figures: Mapping[str, Any]) -> str:
    """Say whether a model that calls no better than its most frequent class ranks no better either."""
    metrics, threshold = figures["metrics"], figures["threshold"]
    share = percent(metrics["majority_class_accuracy"])
    most = f"calling every tile by the most frequent class, which gives {share}"
    ranking = next((row["auroc"] for row in figures["classes"].values()), None)  # of two classes both have it
    if threshold is None or ranking is None or ranking < _RANKS_WELL:
        return f"This is no better than {most}."
    return (
        f"At the threshold of {threshold:.3g} the calls are no better than {most}; but the ranking is good "
        f"(AUROC {number(ranking)}), so that it is the threshold which does not suit these tiles. Choose "
        "another on labelled tiles like these, as train evaluation.threshold=f1 does on validation tiles, "
        "and use it by predict threshold=<value>."
    )


def percent(share: float | None) -> str:
    """Write a share with two digits; 100 % and 0 % are kept for none and all, a dash for undefined.

    >>> percent(0.97826), percent(1.0), percent(0.99999), percent(0.00001), percent(None)
    ('97.83 %', '100 %', 'over 99.99 %', 'under 0.01 %', '-')
    """
    if share is None:
        return "-"
    if share in {0, 1}:
        return f"{share:.0%}".replace("%", " %")
    if share >= 0.99995:
        return "over 99.99 %"
    return "under 0.01 %" if share < 0.00005 else f"{100 * share:.2f} %"


def number(value: float | None) -> str:
    """Write a figure with four digits, whole numbers with their thousands apart, a dash for undefined.

    >>> number(0.123456), number(12000), number(0.99999), number(None)
    ('0.1235', '12,000', 'over 0.9999', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return "over 0.9999" if 0.99995 <= value < 1 else f"{value:.4f}"


def limits(interval: Mapping[str, Any] | None, write: Callable[[float], str]) -> str:
    """Write the two ends of an interval, a dash where there is none."""
    return "-" if interval is None else f"{write(interval['low'])} to {write(interval['high'])}"


def in_brackets(interval: Mapping[str, Any] | None, write: Callable[[float], str]) -> str:
    """Write an interval as it follows a figure in a sentence; nothing where there is none."""
    return "" if interval is None else f" (95 % CI {limits(interval, write)})"


def _errors_by_class(figures: Mapping[str, Any]) -> list[str]:
    errors = figures["metrics"]["errors"]
    if errors == 0:
        return ["no tile called wrongly"]
    tested = {name: row for name, row in figures["classes"].items() if row["support"]}
    worst = min(tested, key=lambda name: tested[name]["recall"])
    recall, tiles = tested[worst]["recall"], tested[worst]["support"]
    found = f"the class found least is {worst}, {percent(recall)} of {_tiles(tiles)}"
    return [f"{_tiles(errors)} called wrongly", found]


def _misses(figures: Mapping[str, Any], positive_class: str) -> str:
    missed, tiles = figures["metrics"]["false_negatives"], figures["classes"][positive_class]["support"]
    if tiles == 0:
        return f"there was no {positive_class} tile to find"
    return f"{number(missed) if missed else 'none'} of {tiles:,} {positive_class} tiles missed"


def _false_alarms(figures: Mapping[str, Any], positive_class: str) -> str:
    alarms = figures["metrics"]["false_positives"]
    others = [name for name in figures["classes"] if name != positive_class]
    tiles = figures["metrics"]["tiles"] - figures["classes"][positive_class]["support"]
    kind = others[0] if len(others) == 1 else "other"
    if tiles == 0:
        return f"there was no {kind} tile that could raise a false alarm"
    return f"{number(alarms) if alarms else 'none'} of {tiles:,} {kind} tiles called {positive_class}"


def _tiles(count: int) -> str:
    return f"{count:,} tile" if count == 1 else f"{count:,} tiles"
