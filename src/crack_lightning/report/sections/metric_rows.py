"""The figures of a report as rows: name, value, limits, and what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.report.sections.verdict import limits, number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

_MEANINGS = {
    "accuracy": "share of tiles called rightly",
    "accuracy_of_largest_class": "what calling every tile by the most frequent class would give",
    "balanced_accuracy": "recall averaged over the classes",
    "recall": "share of {name} tiles that are found",
    "precision": "share of {name} calls that are right",
    "specificity": "share of the other tiles that raise no false alarm",
    "f1": "harmonic mean of recall and precision",
    "auroc": "how often {name} tiles score higher than the others",
    "average_precision": "precision averaged over all recalls",
    "mcc": "correlation of calls and truth (Matthews); 0 is no better than chance",
    "log_loss": "quality of the probabilities, in nats; 0 is perfect",
    "brier_score": "mean squared error of the probabilities; 0 is perfect",
}
_NAMES = {
    "accuracy_of_largest_class": "accuracy without a model",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "mcc": "MCC",
    "log_loss": "log loss",
    "brier_score": "Brier score",
}
_SHARES = ("accuracy", "recall", "precision", "f1", "balanced", "specificity")


def cards(contents: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the few figures that an engineer asks first, each with its name and its limits."""
    positive, suffix = positive_and_suffix(contents)
    keys = ["accuracy", f"recall_{suffix}", *(["specificity"] if positive else []), f"auroc_{suffix}"]
    found = []
    for key in keys:
        interval = contents["uncertainty"]["intervals"].get(key)
        name, value, limits, _ = metric_row(
            key, contents["metrics"][key], interval, suffix=suffix, positive=positive
        )
        found.append({"name": name, "value": value, "limits": limits})
    return found


def positive_and_suffix(contents: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the positive class of two, if there is one, and what its figures' keys end with."""
    positive = contents["positive_class"] if len(contents["class_names"]) == 2 else None
    return positive, positive or "macro"


def metric_row(
    key: str,
    value: float | None,
    interval: Mapping[str, Any] | None,
    *,
    suffix: str,
    positive: str | None,
) -> list[str]:
    """Return name, value, limits and meaning of a figure, all in words.

    Args:
        key: Its name in the report, such as ``recall_crack``.
        value: What it is; ``None`` where it has no value.
        interval: Its ``low`` and ``high``, where it has some.
        suffix: What keys of one class, or averaged over classes, end with.
        positive: The positive class of two, if there is one.
    """
    stem = key.removesuffix(f"_{suffix}")
    meaning = _MEANINGS[stem].format(name=positive or "a class's")
    if positive is None and stem != key:
        meaning = f"{meaning}, averaged over classes"
    write = percent if stem.startswith(_SHARES) else number
    of_class = f" of {positive}" if positive is not None and stem != key else ""
    return [f"{_NAMES.get(stem, stem)}{of_class}", write(value), limits(interval, write), meaning]
