from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crack_lightning.data.grouping.groups import merge_groups
from crack_lightning.report.contents import data_statement
from crack_lightning.report.figures.diagnostics import detection_figure
from crack_lightning.report.sections.pod import pod_section

if TYPE_CHECKING:
    from collections.abc import Callable

    DrawRun = Callable[..., Any]
    Contents = Callable[..., dict[str, Any]]


def test_the_data_statement_counts_tiles_and_groups_of_each_split(draw_run: DrawRun) -> None:
    table, _ = draw_run()
    statement = data_statement(table)
    for split, row in statement["splits"].items():
        mine = table.select(table.split == split)
        assert row["tiles"] == len(mine)
        assert row["groups"] == len(np.unique(mine.group))
        assert row["classes"] == {
            name: int((mine.label == k).sum()) for k, name in enumerate(table.class_names)
        }
    assert sum(row["tiles"] for row in statement["splits"].values()) == len(table)
    assert statement["groups_in_several_splits"] == 0


def test_a_group_in_two_splits_is_counted_and_an_unknown_one_is_not(draw_run: DrawRun) -> None:
    table, _ = draw_run()
    group, split = table.group.copy(), table.split.copy()
    split[0], split[1] = "train", "test"
    group[20:] = ""
    statement = data_statement(replace(table, group=group, split=split))
    assert statement["groups_in_several_splits"] == 1
    assert statement["tiles_without_group"] == len(table) - 20


def test_sets_of_near_duplicates_do_not_count_as_photos(draw_run: DrawRun) -> None:
    table, _ = draw_run()
    table = replace(table, group=np.full(len(table), ""))
    statement = data_statement(merge_groups(table, near_duplicates=np.array([[0, 1], [2, 3]]), clues=None))
    assert statement["tiles_without_group"] == len(table)
    assert sum(row["groups"] for row in statement["splits"].values()) == 0


def test_leaked_pairs_are_counted_with_the_accuracy_without_them(
    draw_run: DrawRun, contents_of: Contents
) -> None:
    table, predictions = draw_run()
    tested = predictions.index
    wrong = tested[predictions.probability.argmax(axis=1) != predictions.label]
    digests = np.array([f"{row:064x}" for row in range(len(table))])
    digests[wrong] = digests[table.rows("train")[0]]
    contents = contents_of(table.with_columns(sha256=digests), predictions)
    assert contents["near_duplicates"] == {
        "searched": False,
        "leaked_pairs": len(wrong),
        "test_tiles_with_near_duplicate_in_train": len(wrong),
        "accuracy_without_near_duplicates": 1.0,
    }


def test_the_most_confident_errors_are_listed_by_probability(
    draw_run: DrawRun, contents_of: Contents
) -> None:
    table, predictions = draw_run()
    contents = contents_of(table, predictions)
    score = predictions.probability[:, 0]
    missed = predictions.label == 0
    missed &= score < 0.5
    worst_miss = predictions.index[np.flatnonzero(missed)[np.argmin(score[missed])]]
    assert contents["most_confident_errors"][0]["path"] == table.path[worst_miss]
    assert contents["most_confident_errors"][0]["probability"] == pytest.approx(1 - score[missed].min())
    assert all(error["label"] != error["predicted"] for error in contents["most_confident_errors"])


def test_recall_by_width_and_false_alarms_by_distractor_cover_all_test_tiles(
    draw_run: DrawRun, contents_of: Contents
) -> None:
    table, predictions = draw_run()
    contents = contents_of(table, predictions)
    metrics, by_width = contents["metrics"], contents["recall_by_width"]
    assert sum(row["tiles"] - row["detected"] for row in by_width) == metrics["false_negatives"]
    assert sum(row["tiles"] for row in by_width) == (predictions.label == 0).sum()
    assert {row["distractor"] for row in contents["false_alarms_by_distractor"]} == {"none", "joint", "stain"}


def test_pod_is_given_in_millimetres_with_the_false_call_rate(
    draw_run: DrawRun, contents_of: Contents
) -> None:
    table, predictions = draw_run()
    width = table.extra["crack_width_px"].astype(np.float64)
    score = predictions.probability[:, 0].astype(np.float64)
    noise = np.random.default_rng(0).normal(0, 1, len(score))
    width[predictions.index] = np.exp(1 + 2 * (score - 0.5) + 0.5 * noise)
    contents = contents_of(replace(table, extra={"crack_width_px": width}), predictions, mm_per_px=0.2)
    detection = contents["pod"]
    assert detection["estimable"]
    assert detection["false_call_rate"] == pytest.approx((score[predictions.label == 1] >= 0.5).mean())
    first, _ = pod_section(contents).blocks[:2]
    assert f"{detection['a90_px']:.1f} px ({0.2 * detection['a90_px']:.2g} mm)" in str(first)
    figure = detection_figure(detection)
    figure.draw_without_rendering()
    pixels, millimetres = figure.axes[0], figure.axes[0].child_axes[0]
    assert millimetres.get_xlim() == pytest.approx(tuple(0.2 * limit for limit in pixels.get_xlim()))


@pytest.mark.parametrize("case", ["no positive class", "no such columns", "no width known"])
def test_recall_by_width_and_false_alarms_by_distractor_are_absent_where_unknown(
    draw_run: DrawRun, contents_of: Contents, case: str
) -> None:
    table, predictions = draw_run(positive=None if case == "no positive class" else "crack")
    if case == "no such columns":
        table = replace(table, extra={})
    if case == "no width known":
        table = replace(table, extra={"crack_width_px": np.full(len(table), np.nan)})
    contents = contents_of(table, predictions)
    assert contents["recall_by_width"] is None
    assert contents["false_alarms_by_distractor"] is None


def test_randomly_initialised_weights_are_a_warning_of_the_report(
    draw_run: DrawRun, contents_of: Contents
) -> None:
    table, predictions = draw_run()
    warning = "0.33% of the backbone's weights were not in the file and began at random: conv1.weight."
    for told, expected in (
        ({"weights_warning": warning}, [warning]),
        ({"weights_caution": warning}, [warning]),
        ({}, []),
    ):
        contents = contents_of(table, predictions, provenance=told)
        assert [line for line in contents["warnings"] if "at random" in line] == expected
