from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crack_lightning.evaluation.slices import quarters
from crack_lightning.report.error_slices import error_slices
from crack_lightning.report.sections.errors import slices_section

if TYPE_CHECKING:
    from collections.abc import Callable

    from crack_lightning.data.table import TileTable
    from crack_lightning.evaluation.predictions import Predictions

    DrawRun = Callable[..., Any]
    Found = tuple[dict[str, Any], TileTable, Predictions, np.ndarray[Any, np.dtype[np.bool_]]]


@pytest.fixture
def found(draw_run: DrawRun) -> Found:
    table, predictions = draw_run()
    looks = np.random.default_rng(2).random((2, len(table)))
    table = replace(table, extra=table.extra | {"brightness": looks[0], "sharpness": looks[1]})
    predicted = predictions.probability.argmax(axis=1)
    return error_slices(predictions, table, predicted), table, predictions, predicted != predictions.label


def test_quarters_are_equal_parts_of_all_tiles() -> None:
    values = np.random.default_rng(0).random(1000)
    parts = quarters(values)
    assert [int(part.sum()) for _, part in parts] == [250] * 4
    assert (np.sum([part for _, part in parts], axis=0) == 1).all()
    assert parts[0][0] == f"{values.min():.3g} to {np.sort(values)[249]:.3g}"
    assert len(quarters(np.ones(5))) == 1


def test_the_groups_with_most_errors_come_first(found: Found) -> None:
    rows, table, predictions, wrong = found[0]["group"], *found[1:]
    group = table.group[predictions.index]
    counted = {name: int(wrong[group == name].sum()) for name in set(group.tolist())}
    most = sorted(counted.values(), reverse=True)[:8]
    assert [row["errors"] for row in rows] == [number for number in most if number]
    assert all(row["errors"] == counted[row["name"]] for row in rows)
    assert all(row["tiles"] == (group == row["name"]).sum() for row in rows)


@pytest.mark.parametrize("look", ["brightness", "sharpness"])
def test_errors_by_image_statistic_sum_to_all_errors(found: Found, look: str) -> None:
    rows, table, _, wrong = found[0][look], *found[1:]
    assert sum(row["errors"] for row in rows) == wrong.sum()
    value = dict(zip(table.path.tolist(), table.extra[look].tolist(), strict=True))
    for row in rows:
        low, high = (float(limit) for limit in row["name"].split(" to "))
        assert all(low - 0.001 <= value[tile["path"]] <= high + 0.001 for tile in row["examples"])
        assert len(row["examples"]) == min(row["errors"], 6)
        sure = [tile["probability"] for tile in row["examples"]]
        assert sure == sorted(sure, reverse=True)


def test_widths_are_of_cracks_and_distractors_of_other_tiles(found: Found) -> None:
    for key, label in (("crack_width", "crack"), ("distractor", "intact")):
        shown = [tile for row in found[0][key] for tile in row["examples"]]
        assert shown
        assert {tile["label"] for tile in shown} == {label}
    assert {row["name"] for row in found[0]["distractor"]} == {"none", "joint", "stain"}


def test_a_single_source_and_unknown_attributes_have_no_slices(draw_run: DrawRun) -> None:
    table, predictions = draw_run()
    table = replace(table, extra={}, group=np.full(len(table), ""))
    found = error_slices(predictions, table, predictions.probability.argmax(axis=1))
    assert found["source"] is found["brightness"] is found["crack_width"] is found["distractor"] is None
    assert found["group"] is None
    assert slices_section({"error_slices": found}).blocks == []


def test_every_slice_has_an_interval_but_the_groups_chosen_for_their_errors(found: Found) -> None:
    rows, text = found[0], slices_section({"error_slices": found[0]}).blocks
    assert {row["interval"] for row in rows["group"]} == {None}
    assert any(str(block).startswith("Groups have no interval") for block in text)
    for key in ("brightness", "sharpness", "crack_width", "distractor"):
        for row in rows[key]:
            assert row["interval"]["low"] <= row["share"] <= row["interval"]["high"]
            assert row["interval"]["low"] < row["interval"]["high"]
