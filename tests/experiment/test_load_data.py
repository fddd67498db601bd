"""Tiles that a model may be tested on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crack_lightning.config.nodes.data import DataConfig
from crack_lightning.data.model_classes import ModelClasses, with_classes
from crack_lightning.data.table import TileTable
from crack_lightning.experiment import load_data
from crack_lightning.experiment.load_data import recovers_photos, unseen_tiles
from crack_lightning.runtime.errors import DataError

TABLE = TileTable(
    root=Path(),
    class_names=("intact", "crack"),
    positive_class=None,
    path=np.array(["a", "b", "c"]),
    label=np.array([0, 1, 1]),
    group=np.array(["", "", ""]),
    source=np.array(["s", "s", "s"]),
    split=np.array(["", "", ""]),
    sha256=np.array(["", "", ""]),
    extra={},
)
MODEL = ModelClasses(["crack", "intact", "rust"], "crack")


def test_known_tiles_are_left_out_and_the_others_get_the_models_classes() -> None:
    found, left_out = unseen_tiles(with_classes(TABLE, MODEL), known=np.array([False, True, False]))
    assert left_out == 1
    assert found.path.tolist() == ["a", "c"]
    assert [found.class_names[label] for label in found.label] == ["intact", "crack"]
    assert found.class_names == ("crack", "intact", "rust")
    assert found.positive_class == "crack"
    assert found.split.tolist() == ["test", "test"]


def test_of_a_set_with_splits_the_test_tiles_alone_count() -> None:
    table = replace(TABLE, split=np.array(["train", "test", "test"]))
    found, left_out = unseen_tiles(table, known=np.array([True, True, False]))
    assert (found.path.tolist(), left_out) == (["c"], 1)


def test_a_set_that_is_known_or_has_other_classes_is_refused() -> None:
    with pytest.raises(DataError, match="all 3 tiles were in this model's training"):
        unseen_tiles(TABLE, known=np.full(3, fill_value=True))
    with pytest.raises(DataError, match="the model's classes are crack, rust, and the set has intact"):
        with_classes(TABLE, ModelClasses(["crack", "rust"], None))


def test_photos_of_very_many_tiles_are_not_recovered_and_a_warning_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recovers_photos(DataConfig(), TABLE)
    monkeypatch.setattr(load_data, "MAX_RECOVERED", 2)
    assert not recovers_photos(DataConfig(), TABLE.with_columns(group=np.array(["p", "q", "r"])))
    assert not caplog.text
    assert not recovers_photos(DataConfig(), TABLE)
    assert "expected at most 2 tiles, got 3; photos" in caplog.text
