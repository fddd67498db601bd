"""``report.md``: what a person reads first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from crack_lightning.data.table import EXCLUDED
from crack_lightning.report.verdict import number, percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
_SPLITS = {"train": "training", "val": "validation", "test": "test", "unused": "unused"}


def report_markdown(contents: Mapping[str, Any], *, pictures: Mapping[str, str]) -> str:
    """Lay out a report.

    Args:
        contents: What ``report_contents`` returned.
        pictures: Alternative text by file name of the pictures that stand beside the report.
    """
    sections = [
        f"# {_plain(contents['title'])}",
        f"**{_plain(contents['verdict'])}**",
        *(f"> {_plain(caution)}" for caution in contents["cautions"]),
        _figures_section(contents),
        _embed(pictures, "confusion_matrix.png", "roc_curve.png", "pr_curve.png"),
        _errors_section(contents["worst_errors"], contents["metrics"]["errors"]),
        _source_section(contents),
        _width_section(contents["recall_by_width"]),
        _distractor_section(contents["false_alarms_by_distractor"]),
        _training_section(contents["history"], pictures),
        _head_section(contents["provenance"]),
        _data_section(contents),
        _embed(pictures, "example_tiles.png", "augmentations.png"),
        _making_section(contents),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _figures_section(contents: Mapping[str, Any]) -> str:
    metrics = contents["metrics"]
    positive = contents["positive_class"] if len(contents["class_names"]) == 2 else None
    suffix = "macro" if positive is None else positive
    keys = ["accuracy", "accuracy_of_largest_class", "balanced_accuracy"]
    keys += [f"{key}_{suffix}" for key in ("recall", "precision", "f1", "auroc", "average_precision")]
    keys += [*(["specificity", "mcc"] if positive else []), "log_loss", "brier_score"]
    told = contents["uncertainty"]
    rows = [
        _metric_row(key, metrics[key], told["intervals"].get(key), suffix=suffix, positive=positive)
        for key in keys
    ]
    parts = ["## Figures", _table(["figure", "value", "95 % interval", "meaning"], rows, "lrrl")]
    over = "groups of tiles" if told["groups_known"] else "tiles, as groups are unknown: it may be too narrow"
    parts.append(
        f"An interval says where the figure may lie for other tiles of the same kind; it is over {over}."
    )
    parts += [_plain(bound) for bound in told["bounds"]]
    if baselines := told["baselines"]:
        named = ["accuracy", "balanced_accuracy", "recall", "specificity", "precision", "f1"]
        cells = [[f"all {name}", *(percent(row[key]) for key in named)] for name, row in baselines.items()]
        head = ["calling", "accuracy", "balanced accuracy", "recall", "specificity", "precision", "F1"]
        parts.append(_table(head, cells, "lrrrrrr"))
    if positive is None:
        by_class = [
            [name, *(percent(row[key]) for key in ("precision", "recall", "f1")), number(row["support"])]
            for name, row in contents["classes"].items()
        ]
        parts.append(_table(["class", "precision", "recall", "F1", "tiles"], by_class, "lrrrr"))
    links = "[classification_report.txt](classification_report.txt), [report.json](report.json)"
    parts.append(f"In full: {links}; every tile: [predictions.csv](../predictions.csv).")
    if contents["threshold"] is not None:
        parts.append(f"A tile is called {_plain(suffix)} from a probability of {contents['threshold']:g} on.")
    return "\n\n".join(parts)


def _metric_row(
    key: str,
    value: float | None,
    interval: Mapping[str, Any] | None,
    *,
    suffix: str,
    positive: str | None,
) -> list[str]:
    stem = key.removesuffix(f"_{suffix}")
    meaning = _MEANINGS[stem].format(name=positive or "a class's")
    if positive is None and stem != key:
        meaning = f"{meaning}, averaged over classes"
    write = percent if stem.startswith(_SHARES) else number
    limits = "-" if interval is None else f"{write(interval['low'])} to {write(interval['high'])}"
    of_class = f" of {positive}" if positive is not None and stem != key else ""
    return [f"{_NAMES.get(stem, stem)}{of_class}", write(value), limits, meaning]


def _errors_section(errors: Sequence[Mapping[str, Any]], total: int) -> str:
    if not errors:
        return "## Worst errors\n\nNone: every tile was called rightly."
    rows = [
        [_code(row["path"]), row["group"] or "-", row["label"], row["predicted"], number(row["probability"])]
        for row in errors
    ]
    head = ["tile", "group", "is", "was called", "with probability"]
    known = (
        f"All {total:,}" if len(errors) == total else f"The surest of each class: {len(errors)} of {total:,}"
    )
    return f"## Worst errors\n\n{known}.\n\n{_table(head, rows, 'llllr')}"


def _source_section(contents: Mapping[str, Any]) -> str:
    if not (by_source := contents["by_source"]):
        return ""
    positive = contents["positive_class"] if len(contents["class_names"]) == 2 else None
    suffix = "macro" if positive is None else positive
    cells = [
        [
            name,
            number(row["tiles"]),
            *(_share(row[key]) for key in ("accuracy", "balanced_accuracy", f"recall_{suffix}")),
            number(row[f"auroc_{suffix}"]),
        ]
        for name, row in by_source.items()
    ]
    of_class = f" of {positive}" if positive else ""
    head = ["source", "tiles", "accuracy", "balanced accuracy", f"recall{of_class}", f"AUROC{of_class}"]
    return f"## By source\n\n{_table(head, cells, 'lrrrrr')}"


def _width_section(rows: Sequence[Mapping[str, Any]] | None) -> str:
    if rows is None:
        return ""
    cells = [
        [_width_name(row), number(row["tiles"]), number(row["tiles"] - row["found"]), _share(row["recall"])]
        for row in rows
    ]
    return "## Recall by crack width\n\n" + _table(["width", "tiles", "missed", "recall"], cells, "lrrr")


def _width_name(row: Mapping[str, Any]) -> str:
    low, high = row["from_px"], row["to_px"]
    if low is None:
        return "unknown"
    if high is None:
        return f"{low:g} px and more"
    return f"under {high:g} px" if low == 0 else f"{low:g} to {high:g} px"


def _distractor_section(rows: Sequence[Mapping[str, Any]] | None) -> str:
    if rows is None:
        return ""
    cells = [
        [row["distractor"], number(row["tiles"]), number(row["false_alarms"]), _share(row["rate"])]
        for row in rows
    ]
    note = "A tile with several distractors counts under each."
    head = ["distractor", "tiles", "false alarms", "share"]
    return f"## False alarms by distractor\n\n{_table(head, cells, 'lrrr')}\n\n{note}"


def _training_section(history: Sequence[Any], pictures: Mapping[str, str]) -> str:
    if not history:
        return ""
    return "## Training\n\n" + _embed(pictures, "loss_curve.png", "accuracy_curve.png")


def _head_section(provenance: Mapping[str, Any]) -> str:
    """Show how the penalty of a head on frozen features was chosen."""
    if not (tried := provenance.get("l2_tried")):
        return ""
    rows = [[f"{row['l2']:g}", f"{row['val/loss']:.5f}", percent(row["val/accuracy"])] for row in tried]
    table = _table(["l2", "loss", "accuracy"], rows, "rrr")
    why = "the least loss on validation tiles" if len(rows) > 1 else "as set"
    return (
        f"## Head\n\nFitted on the frozen backbone's features with l2 {provenance['l2']:g}, {why}.\n\n{table}"
    )


def _data_section(contents: Mapping[str, Any]) -> str:
    data, names = contents["data"], contents["class_names"]
    rows = [
        [_SPLITS[split], *map(number, row["classes"].values()), number(row["tiles"]), number(row["groups"])]
        for split, row in data["splits"].items()
    ]
    head = ["split", *names, "all tiles", "groups"]
    sources = ", ".join(f"{name} ({tiles:,} tiles)" for name, tiles in data["sources"].items())
    leaks = [_leak_sentence(data), _twins_sentence(contents["twins"]) if len(rows) > 1 else ""]
    lines = [f"Source: {sources}.", *leaks, *_skipped_lines(contents["provenance"])]
    statement = "\n".join(_plain(line) for line in lines if line)
    return f"## Data\n\n{_table(head, rows, 'l' + 'r' * (len(head) - 1))}\n\n{statement}"


def _leak_sentence(data: Mapping[str, Any]) -> str:
    shared, unknown = data["groups_in_several_splits"], data["tiles_without_group"]
    tiles = sum(row["tiles"] for row in data["splits"].values())
    if unknown == tiles:
        return (
            "Groups are unknown: tiles of one photo may stand in several splits, and the figures may flatter."
        )
    told = f"{shared:,} groups stand in several splits" if shared else "No group stands in two splits"
    rest = f"; of {unknown:,} tiles the group is unknown" if unknown else ""
    recovered = data["tiles_of_recovered_photos"]
    guess = f" The photos of {recovered:,} tiles were found by edges that fit and by names in order."
    return f"{told}{rest}.{guess if recovered else ''}"


def _twins_sentence(twins: Mapping[str, Any]) -> str:
    if not twins["leaked_pairs"]:
        what = "No identical file and no twin" if twins["looked_for"] else "No identical file"
        return f"{what} stands on two sides (leaked pairs: 0)."
    told = f"Leaked pairs, identical files or twins on two sides: {twins['leaked_pairs']:,}."
    if not (tiles := twins["test_tiles_with_twin_in_training"]):
        return told
    others = twins["accuracy_on_the_others"]
    rest = "no test tile is without" if others is None else f"accuracy on the others {percent(others)}"
    return f"{told} {tiles:,} test tiles have one in training; {rest}."


def _skipped_lines(provenance: Mapping[str, Any]) -> list[str]:
    left_out = provenance.get("skipped") or []
    skipped = [row for row in left_out if row["reason"] != EXCLUDED]
    excluded = len(left_out) - len(skipped)
    told = [f"Left out by {EXCLUDED}: {excluded:,} tiles, named in report.json."] if excluded else []
    if not skipped:
        return told
    named = "; ".join(f"{row['path']} ({row['reason']})" for row in skipped[:10])
    more = f"; and {len(skipped) - 10:,} more, in report.json" if len(skipped) > 10 else ""
    return [*told, f"Left out because unreadable, {len(skipped):,} in all: {named}{more}."]


def _making_section(contents: Mapping[str, Any]) -> str:
    made = contents["provenance"] | contents["timing"] | {"made": contents["made"]}
    rows = [
        [key.replace("_", " "), _code(value) if key == "command" else _inline(value)]
        for key, value in made.items()
        if key not in {"skipped", "settings", "l2_tried"} and value is not None
    ]
    parts = ["## How it was made", _table(["", ""], rows, "ll")] if rows else []
    if settings := contents["provenance"].get("settings"):
        parts += ["### Settings", "\n".join(f"    {line}" for line in _setting_lines(settings, ""))]
    return "\n\n".join(parts)


def _setting_lines(settings: Mapping[str, Any], prefix: str) -> list[str]:
    lines = []
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            lines += _setting_lines(value, f"{prefix}{key}.")
        else:
            lines.append(" ".join(f"{prefix}{key}: {json.dumps(value, ensure_ascii=False)}".splitlines()))
    return lines


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_inline(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_inline, value))
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 1 else f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)


def _share(value: float | None) -> str:
    return "-" if value is None else percent(value)


def _embed(pictures: Mapping[str, str], *names: str) -> str:
    return "\n\n".join(f"![{_plain(pictures[name])}]({name})" for name in names if name in pictures)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], alignment: str) -> str:
    rule = ["---:" if side == "r" else "---" for side in alignment]
    written = [[cell if cell.startswith("`") else _plain(cell) for cell in row] for row in (head, *rows)]
    lines = [written[0], rule, *written[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Escape what Markdown or HTML would take for markup; names of files and classes may hold anything."""
    one_line = " ".join(text.split())
    for mark in "\\`*_[]<>|":
        one_line = one_line.replace(mark, f"\\{mark}")
    return one_line


def _code(text: str) -> str:
    """Write a name as code, whose only marks are the backtick and a table's bar."""
    return f"`{' '.join(text.split()).replace('`', chr(39)).replace('|', chr(92) + '|')}`"
