"""What a report says, section by section, for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from crack_lightning.data.table import EXCLUDED
from crack_lightning.report.document import Code, Gallery, Links, Listing, Pictures, Section, ShownTile, Table
from crack_lightning.report.verdict import number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crack_lightning.report.document import Block

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


def report_sections(contents: Mapping[str, Any]) -> list[Section]:
    """Lay out what ``report_contents`` gathered, in the order in which it is to be read."""
    found = [
        _figures_section(contents),
        _decision_section(contents),
        _errors_section(contents),
        _source_section(contents),
        _width_section(contents["recall_by_width"], contents["detection"]),
        _distractor_section(contents["false_alarms_by_distractor"]),
        _training_section(contents["history"]),
        _head_section(contents["provenance"]),
        _data_section(contents),
        _making_section(contents),
    ]
    return [section for section in found if section.blocks]


def cards(contents: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the few figures that an engineer asks first, each with its name and its limits."""
    positive, suffix = _positive_and_suffix(contents)
    keys = ["accuracy", f"recall_{suffix}", *(["specificity"] if positive else []), f"auroc_{suffix}"]
    found = []
    for key in keys:
        interval = contents["uncertainty"]["intervals"].get(key)
        name, value, limits, _ = _metric_row(
            key, contents["metrics"][key], interval, suffix=suffix, positive=positive
        )
        found.append({"name": name, "value": value, "limits": limits})
    return found


def _positive_and_suffix(contents: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the positive class of two, if there is one, and what its figures' keys end with."""
    positive = contents["positive_class"] if len(contents["class_names"]) == 2 else None
    return positive, positive or "macro"


def _figures_section(contents: Mapping[str, Any]) -> Section:
    metrics, told = contents["metrics"], contents["uncertainty"]
    positive, suffix = _positive_and_suffix(contents)
    keys = ["accuracy", "accuracy_of_largest_class", "balanced_accuracy"]
    keys += [f"{key}_{suffix}" for key in ("recall", "precision", "f1", "auroc", "average_precision")]
    keys += [*(["specificity", "mcc"] if positive else []), "log_loss", "brier_score"]
    rows = [
        _metric_row(key, metrics[key], told["intervals"].get(key), suffix=suffix, positive=positive)
        for key in keys
    ]
    over = "groups of tiles" if told["groups_known"] else "tiles, as groups are unknown: it may be too narrow"
    blocks: list[Block] = [
        Table(["figure", "value", "95 % interval", "meaning"], rows, "lrrl"),
        f"An interval says where the figure may lie for other tiles of the same kind; it is over {over}.",
        *told["bounds"],
    ]
    if contents["threshold"] is not None:
        blocks.append(f"A tile is called {suffix} from a probability of {contents['threshold']:.4g} on.")
    if baselines := told["baselines"]:
        named = ["accuracy", "balanced_accuracy", "recall", "specificity", "precision", "f1"]
        cells = [[f"all {name}", *(percent(row[key]) for key in named)] for name, row in baselines.items()]
        head = ["calling", "accuracy", "balanced accuracy", "recall", "specificity", "precision", "F1"]
        blocks += ["Without a model, by calling every tile the same:", Table(head, cells, "lrrrrrr")]
    if positive is None:
        by_class = [
            [name, *(percent(row[key]) for key in ("precision", "recall", "f1")), number(row["support"])]
            for name, row in contents["classes"].items()
        ]
        blocks.append(Table(["class", "precision", "recall", "F1", "tiles"], by_class, "lrrrr"))
    links = [(name, name) for name in ("classification_report.txt", "report.json")]
    blocks += [
        Links([*links, ("predictions.csv", "../predictions.csv")]),
        Pictures(["confusion_matrix.png", "roc_curve.png", "pr_curve.png"]),
    ]
    return Section("Figures", blocks)


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


def _decision_section(contents: Mapping[str, Any]) -> Section:
    """Show what validation tiles chose, what it does to misses and false alarms, and how sure to be."""
    decision, calibration = contents["provenance"].get("decision"), contents["calibration"]
    blocks: list[Block] = list(decision["told"]) if decision else []
    if decision and "validation" in decision:
        of_test = contents["metrics"]
        rows = [
            [name, percent(row["recall"]), percent(row["specificity"]), *map(number, counts)]
            for name, row, counts in (
                (
                    "validation",
                    decision["validation"],
                    (decision["validation"]["misses"], decision["validation"]["false_alarms"]),
                ),
                (
                    "test",
                    of_test | {"recall": of_test[f"recall_{contents['positive_class']}"]},
                    (of_test["misses"], of_test["false_alarms"]),
                ),
            )
        ]
        head = [f"from {decision['threshold']:.4g} on", "recall", "specificity", "misses", "false alarms"]
        blocks.append(Table(head, rows, "lrrrr"))
    after = calibration["after"]["expected_calibration_error"]
    told = f"Calibration error {percent(after)} of test tiles, in 15 bins of equally many"
    if calibration["before"]:
        told += f" ({percent(calibration['before']['expected_calibration_error'])} without the temperature)"
    return Section("Threshold and calibration", [*blocks, f"{told}.", Pictures(["reliability.png"])])


def _errors_section(contents: Mapping[str, Any]) -> Section:
    errors, total = contents["worst_errors"], contents["metrics"]["errors"]
    unsure = [
        ShownTile(row["path"], row["label"], f"called {row['predicted']}, {row['probability']:.3f}")
        for row in contents["least_sure"]
    ]
    galleries: list[Block] = [Gallery("The least sure", unsure)] if unsure else []
    if not errors:
        return Section("Worst errors", ["None: every tile was called rightly.", *galleries])
    rows = [
        [
            Code(row["path"]),
            row["group"] or "-",
            row["label"],
            row["predicted"],
            number(row["probability"]),
        ]
        for row in errors
    ]
    head = ["tile", "group", "is", "was called", "with probability"]
    known = (
        f"All {total:,}" if len(errors) == total else f"The surest of each class: {len(errors)} of {total:,}"
    )
    of_class = {
        name: [
            ShownTile(row["path"], name, f"called {row['predicted']}, {row['probability']:.3f}")
            for row in errors
            if row["label"] == name
        ]
        for name in dict.fromkeys(row["label"] for row in errors)
    }
    wrong = [Gallery(f"Tiles of {name} called otherwise", tiles) for name, tiles in of_class.items()]
    return Section("Worst errors", [f"{known}.", *wrong, *galleries, Table(head, rows, "llllr")])


def _source_section(contents: Mapping[str, Any]) -> Section:
    positive, suffix = _positive_and_suffix(contents)
    cells = [
        [
            name,
            number(row["tiles"]),
            *(_share(row[key]) for key in ("accuracy", "balanced_accuracy", f"recall_{suffix}")),
            number(row[f"auroc_{suffix}"]),
        ]
        for name, row in (contents["by_source"] or {}).items()
    ]
    of_class = f" of {positive}" if positive else ""
    head = ["source", "tiles", "accuracy", "balanced accuracy", f"recall{of_class}", f"AUROC{of_class}"]
    return Section("By source", [Table(head, cells, "lrrrrr")] if cells else [])


def _width_section(rows: Sequence[Mapping[str, Any]] | None, detection: Mapping[str, Any] | None) -> Section:
    cells = [
        [_width_name(row), number(row["tiles"]), number(row["tiles"] - row["found"]), _share(row["recall"])]
        for row in rows or ()
    ]
    head = ["width", "tiles", "missed", "recall"]
    if not cells:
        return Section("Recall by crack width", [])
    told = [_detection_sentence(detection)] if detection else []
    return Section(
        "Recall by crack width",
        [*told, Table(head, cells, "lrrr"), Pictures(["probability_of_detection.png"])],
    )


def _detection_sentence(detection: Mapping[str, Any]) -> str:
    if not detection["estimable"]:
        return f"The probability of detection by width is not estimable. {detection['reason']}"
    bound = detection["a90_95_px"]
    sure = (
        "no width is sure to be, on these tiles" if bound is None else f"with 95 % confidence {bound:.1f} px"
    )
    return (
        f"Half of the cracks are found at a width of {detection['a50_px']:.1f} px, nine of ten at "
        f"{detection['a90_px']:.1f} px ({sure}); {detection['cracks']:,} cracks, {detection['method']}."
    )


def _width_name(row: Mapping[str, Any]) -> str:
    low, high = row["from_px"], row["to_px"]
    if low is None:
        return "unknown"
    if high is None:
        return f"{low:g} px and more"
    return f"under {high:g} px" if low == 0 else f"{low:g} to {high:g} px"


def _distractor_section(rows: Sequence[Mapping[str, Any]] | None) -> Section:
    cells = [
        [row["distractor"], number(row["tiles"]), number(row["false_alarms"]), _share(row["rate"])]
        for row in rows or ()
    ]
    head = ["distractor", "tiles", "false alarms", "share"]
    note = "A tile with several distractors counts under each."
    return Section("False alarms by distractor", [Table(head, cells, "lrrr"), note] if cells else [])


def _training_section(history: Sequence[Any]) -> Section:
    return Section("Training", [Pictures(["loss_curve.png", "accuracy_curve.png"])] if history else [])


def _head_section(provenance: Mapping[str, Any]) -> Section:
    """Show how the penalty of a head on frozen features was chosen."""
    if not (tried := provenance.get("l2_tried")):
        return Section("Head", [])
    rows = [[f"{row['l2']:g}", f"{row['val/loss']:.5f}", percent(row["val/accuracy"])] for row in tried]
    why = "the least loss on validation tiles" if len(rows) > 1 else "as set"
    told = f"Fitted on the frozen backbone's features with l2 {provenance['l2']:g}, {why}."
    return Section("Head", [told, Table(["l2", "loss", "accuracy"], rows, "rrr")])


def _data_section(contents: Mapping[str, Any]) -> Section:
    data, names = contents["data"], contents["class_names"]
    rows = [
        [_SPLITS[split], *map(number, row["classes"].values()), number(row["tiles"]), number(row["groups"])]
        for split, row in data["splits"].items()
    ]
    head = ["split", *names, "all tiles", "groups"]
    sources = ", ".join(f"{name} ({tiles:,} tiles)" for name, tiles in data["sources"].items())
    leaks = [_leak_sentence(data), _twins_sentence(contents["twins"]) if len(rows) > 1 else ""]
    lines = [f"Source: {sources}.", *leaks, *_skipped_lines(contents["provenance"])]
    return Section(
        "Data",
        [
            Table(head, rows, "l" + "r" * (len(head) - 1)),
            *(line for line in lines if line),
            Pictures(["example_tiles.png", "augmentations.png"]),
        ],
    )


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


def _making_section(contents: Mapping[str, Any]) -> Section:
    made = contents["provenance"] | contents["timing"] | {"made": contents["made"]}
    rows = [
        [key.replace("_", " "), Code(value) if key == "command" else _inline(value)]
        for key, value in made.items()
        if key not in {"skipped", "settings", "l2_tried", "decision"} and value is not None
    ]
    blocks: list[Block] = [Table(["", ""], rows, "ll")] if rows else []
    if settings := contents["provenance"].get("settings"):
        blocks.append(Listing("Settings", _setting_lines(settings, "")))
    return Section("How it was made", blocks)


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
