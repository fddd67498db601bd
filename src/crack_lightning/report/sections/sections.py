"""What a report says, section by section, for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from crack_lightning.evaluation.metrics import call_metrics
from crack_lightning.report.render.document import Code, Links, Listing, Pictures, Section, Table
from crack_lightning.report.sections.data import data_section
from crack_lightning.report.sections.errors import errors_section, slices_section
from crack_lightning.report.sections.explanation import explanation_section
from crack_lightning.report.sections.metric_rows import metric_rows, positive_and_suffix
from crack_lightning.report.sections.ood import ood_section
from crack_lightning.report.sections.pod import pod_section
from crack_lightning.report.sections.verdict import in_brackets, limits, number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crack_lightning.report.render.document import Block


def report_sections(contents: Mapping[str, Any]) -> list[Section]:
    """Lay out what ``report_contents`` gathered, in the order in which it is to be read."""
    found = [
        figures_section(contents),
        decision_section(contents),
        ood_section(contents),
        errors_section(contents),
        explanation_section(contents["explanation"], contents["localisation"]),
        _source_section(contents),
        pod_section(contents["recall_by_width"], contents["pod"]),
        _distractor_section(contents["false_alarms_by_distractor"]),
        slices_section(contents["error_slices"]),
        _training_section(contents["history"]),
        _head_section(contents["provenance"]),
        data_section(contents),
        _making_section(contents),
    ]
    return [section for section in found if section.blocks]


_WITHOUT_A_MODEL = (
    "Without a model, by calling every tile the same; the share of each class decides these figures, which "
    "have no interval of their own:"
)
_ON_VALIDATION = "The figures of validation tiles have no interval: the threshold was chosen on these tiles."


def figures_section(contents: Mapping[str, Any]) -> Section:
    """Lay out every figure with its interval, and what there would be without a model."""
    told, (positive, suffix) = contents["uncertainty"], positive_and_suffix(contents)
    rows = metric_rows(contents)
    over = "groups of tiles" if told["groups_known"] else "tiles, as groups are unknown: it may be too narrow"
    blocks: list[Block] = [
        Table(["figure", "value", "95 % interval", "meaning"], rows, "lrrl"),
        f"An interval says where the figure may lie for other tiles of the same kind; it is over {over}.",
        *told["notes"],
    ]
    if contents["threshold"] is not None:
        blocks.append(f"A tile is called {suffix} from a probability of {contents['threshold']:.4g} on.")
    if baselines := told["baselines"]:
        blocks += [_WITHOUT_A_MODEL, _baselines_table(baselines)]
    if positive is None:
        blocks.append(_classes_table(contents["classes"], told["intervals"]))
    links = [(name, name) for name in ("classification_report.txt", "report.json")]
    blocks += [
        Links([*links, ("predictions.csv", "../predictions.csv")]),
        Pictures(["confusion_matrix.png", "roc_curve.png", "pr_curve.png"]),
    ]
    return Section("Figures", blocks)


def _baselines_table(baselines: Mapping[str, Mapping[str, float]]) -> Table:
    shown = [metric for metric in call_metrics() if metric.of_model and metric.percent]
    cells = [
        [f"all {name}", *(percent(row[metric.name]) for metric in shown)] for name, row in baselines.items()
    ]
    return Table(["calling", *(metric.label for metric in shown)], cells, "l" + "r" * len(shown))


def _classes_table(
    classes: Mapping[str, Mapping[str, Any]], intervals: Mapping[str, Mapping[str, Any]]
) -> Table:
    def cell(name: str, key: str) -> str:
        return percent(classes[name][key]) + in_brackets(intervals.get(f"{key}_{name}"), percent)

    shown = [metric for metric in call_metrics() if metric.scope == "class"]
    cells = [
        [name, *(cell(name, metric.name) for metric in shown), number(row["support"])]
        for name, row in classes.items()
    ]
    head = ["class", *(metric.label for metric in shown), "tiles"]
    return Table(head, cells, "l" + "r" * (len(shown) + 1))


def decision_section(contents: Mapping[str, Any]) -> Section:
    """Show what validation tiles chose, what it does to misses and false alarms, and how sure to be."""
    decision, calibration = contents["provenance"].get("decision"), contents["calibration"]
    blocks: list[Block] = list(decision["notes"]) if decision else []
    if decision and "validation" in decision:
        of_test = contents["metrics"]
        rows = [
            [name, percent(row["recall"]), percent(row["specificity"]), *map(number, counts)]
            for name, row, counts in (
                (
                    "validation",
                    decision["validation"],
                    (decision["validation"]["false_negatives"], decision["validation"]["false_positives"]),
                ),
                (
                    "test",
                    of_test | {"recall": of_test[f"recall_{contents['positive_class']}"]},
                    (of_test["false_negatives"], of_test["false_positives"]),
                ),
            )
        ]
        head = [
            f"from {decision['threshold']:.4g} on",
            "recall",
            "specificity",
            "false_negatives",
            "false alarms",
        ]
        blocks += [Table(head, rows, "lrrrr"), _ON_VALIDATION]
    pictures = Pictures(["misses_against_false_alarms.png", "reliability.png"])
    if sum(row["support"] > 0 for row in contents["classes"].values()) < 2:
        return Section(
            "Threshold and calibration", [*blocks, "Tiles of one class say nothing of calibration."]
        )
    return Section("Threshold and calibration", [*blocks, _calibration_sentence(calibration), pictures])


def _calibration_sentence(calibration: Mapping[str, Any]) -> str:
    """State the expected calibration error by its name, its definition and its interval."""
    after, before, name = (
        calibration["calibrated"],
        calibration["uncalibrated"],
        calibration["probability_of"],
    )
    kind, of = ("Expected", f"of {name}") if name else ("Top-label expected", "of the called class")
    told = (
        f"{kind} calibration error (ECE, 15 equal-mass bins of the probability {of}): "
        f"{number(after['expected_calibration_error'])}{in_brackets(after['interval'], number)}"
    )
    if before:
        error = before["expected_calibration_error"]
        told += f"; without the temperature {number(error)}{in_brackets(before['interval'], number)}"
    return f"{told}. It is the mean distance of forecast and observed share, and 0 where both agree."


def _source_section(contents: Mapping[str, Any]) -> Section:
    positive, suffix = positive_and_suffix(contents)
    keys = ("accuracy", "balanced_accuracy", f"recall_{suffix}", f"auroc_{suffix}")
    cells = [
        [name, number(row["tiles"]), *(_with_limits(contents, name, key) for key in keys)]
        for name, row in (contents["by_source"] or {}).items()
    ]
    of_class = f" of {positive}" if positive else ""
    head = ["source", "tiles", "accuracy", "balanced accuracy", f"recall{of_class}", f"AUROC{of_class}"]
    return Section("By source", [Table(head, cells, "lrrrrr")] if cells else [])


def _with_limits(contents: Mapping[str, Any], source: str, key: str) -> str:
    value, interval = contents["by_source"][source][key], contents["intervals_by_source"][source].get(key)
    write = number if key.startswith("auroc") else percent
    return write(value) + ("" if value is None else in_brackets(interval, write))


def _distractor_section(rows: Sequence[Mapping[str, Any]] | None) -> Section:
    cells = [
        [
            row["distractor"],
            number(row["tiles"]),
            number(row["false_positives"]),
            percent(row["rate"]),
            limits(row["interval"], percent),
        ]
        for row in rows or ()
    ]
    head = ["distractor", "tiles", "false alarms", "share", "95 % interval"]
    note = "A tile with several distractors counts under each."
    return Section("False alarms by distractor", [Table(head, cells, "lrrrr"), note] if cells else [])


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


def _making_section(contents: Mapping[str, Any]) -> Section:
    made = contents["provenance"] | contents["timing"] | {"created": contents["created"]}
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
        return f"{value:.1f}" if abs(value) >= 1 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)
