"""A run goes on where its data lie elsewhere, if they are the same."""

from __future__ import annotations

import json
import shlex
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crack_lightning.cli.arguments import hydra_arguments
from crack_lightning.cli.main import main
from crack_lightning.config import (
    TrainConfig,
    compose_config,
    parse,
    resumed_config,
    take_moved_data,
    write_config,
)
from crack_lightning.data.scan.prepare import with_splits
from crack_lightning.data.table import TileTable
from crack_lightning.experiment.preflight import require_tiles_of_run
from crack_lightning.runtime.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pathlib import Path

    from omegaconf import DictConfig

MIXED = "data.sources={a: {source: image_folder, root: one}, b: {source: image_folder, root: two}}"


def begun(folder: Path, *typed: str) -> Path:
    """The folder of a run that has begun with these settings."""
    folder.mkdir()
    write_config(parse(composed(*typed), TrainConfig), folder / "config.yaml")
    return folder


def composed(*typed: str) -> DictConfig:
    return compose_config("train", hydra_arguments("train", typed))


def resumed(folder: Path, *typed: str) -> Any:
    given = [f"resume={folder}", *typed]
    settings, overrides = composed(*given), hydra_arguments("train", given)
    moved = take_moved_data(settings, overrides)
    asked = parse(settings, TrainConfig)
    return resumed_config(folder, current=asked, overrides=overrides, moved=moved)


@pytest.mark.parametrize("also", [[], ["data=image_folder"], ["trainer.max_epochs=9", "progress=false"]])
def test_a_run_goes_on_with_its_data_at_another_place(also: list[str], tmp_path: Path) -> None:
    folder = begun(
        tmp_path / "run", "data=image_folder", "data.root=tiles", "data.batch_size=8", "trainer.max_epochs=3"
    )
    assert resumed(folder).data.root == "tiles"
    config = resumed(folder, *also, "data.root=/mnt/new (1)/${a}")
    assert (config.data.root, config.data.batch_size) == ("/mnt/new (1)/${a}", 8)
    assert config.trainer.max_epochs == (9 if len(also) > 1 else 3)


def test_a_run_of_several_sources_goes_on_where_one_of_them_lies_elsewhere(tmp_path: Path) -> None:
    folder = begun(tmp_path / "run", "data=mixed", MIXED)
    parts = resumed(folder, "data.sources.b.root=~there").data.parts()
    assert {name: part.root for name, part in parts.items()} == {"a": "one", "b": "~there"}
    with pytest.raises(ConfigError, match=r"^data\.sources\.c: the run has no such source; expected a, b\.$"):
        resumed(folder, "data.sources.c.root=x")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("data.batch_size=4", "data.batch_size: a resumed run keeps its settings; only trainer.max_epochs"),
        ("data.split.seed=4", "data.split.seed: a resumed run keeps its settings"),
        ("data=metu data.root=x", "data: a resumed run keeps data=image_folder, got metu; leave it out."),
        ("data.archive=x.zip", "data.archive: data=image_folder does not read it"),
    ],
)
def test_a_resumed_run_keeps_everything_else(typed: str, told: str, tmp_path: Path) -> None:
    folder = begun(tmp_path / "run", "data=image_folder", "data.root=tiles")
    with pytest.raises(ConfigError) as error:
        resumed(folder, *typed.split())
    assert str(error.value).startswith(told)


def test_what_is_told_where_data_have_moved_is_what_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = begun(tmp_path / "run 1", "data=image_folder", "data.root=tiles")
    with pytest.raises(DataError, match=r"data\.root: 'tiles' does not exist") as told:
        require_tiles_of_run(folder, resumed(folder).data)
    words = str(told.value).split(" beside ")[1]
    assert words == f"resume={shlex.quote(str(folder))}, as in data.root=<folder>."
    (tmp_path / "moved").mkdir()
    typed = [*shlex.split(words.partition(",")[0]), "data.root=moved"]
    require_tiles_of_run(folder, resumed(folder, *typed[1:]).data)
    (folder / "state.json").write_text(json.dumps({"phase": "finished"}))
    (folder / "report").mkdir()
    (folder / "report" / "report.json").touch()
    require_tiles_of_run(folder, resumed(folder).data)  # which needs none


def test_tiles_of_the_same_names_with_other_bytes_do_not_go_on(tmp_path: Path) -> None:
    splits = ["train", "train", "val", "val", "test", "test"]
    table = TileTable(
        root=tmp_path,
        class_names=("intact", "crack"),
        positive_class="crack",
        path=np.array([f"{number}.jpg" for number in range(6)]),
        label=np.array([0, 1] * 3),
        group=np.full(6, ""),
        source=np.full(6, "image_folder"),
        split=np.array(splits),
        sha256=np.array([f"{number}" * 64 for number in range(6)]),
    )
    table.write_csv(tmp_path / "splits.csv")
    bare = table.with_columns(split=np.full(6, ""))
    how = {"file": None, "splits_path": tmp_path / "splits.csv"}
    np.testing.assert_array_equal(with_splits(bare, **how).split, table.split)  # type: ignore[arg-type]
    other = bare.with_columns(sha256=np.array([*bare.sha256[:5], "f" * 64]))
    with pytest.raises(
        DataError, match=r"^resume: 1 tiles under .* that the run began with: '5\.jpg'\. Give"
    ):
        with_splits(other, **how)  # type: ignore[arg-type]


def test_a_report_that_was_lost_is_written_again(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    before = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    shutil.rmtree(folder / "report")
    assert main(["train", f"resume={folder}", "progress=false"]) == 0
    after = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    assert after["metrics"] == before["metrics"]
