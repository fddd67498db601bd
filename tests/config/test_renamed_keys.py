"""Keys of earlier versions: refused where they are typed, read where an earlier run has them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from crack_lightning.cli.main import main
from crack_lightning.config import TrainConfig, resumed_config
from crack_lightning.config.error_messages import schema_keys
from crack_lightning.config.nodes.data import data_node
from crack_lightning.config.renamed_keys import RENAMED, with_new_names
from crack_lightning.data.sources import SOURCES

FORMER_RUN = Path(__file__).parent / "fixtures" / "former_run.yaml"
"""``config.yaml`` that commit ac93be3 wrote, but for the folder of its outputs:

``train model=timm model.name=resnet10t model.image_size=32 model.head=local model.strongest_cells=0.2
trainer=smoke trainer.threads=1 trainer.accelerator=cpu data.drawn.num_tiles=60 data.drawn.tile_px=64
data.num_workers=0 data.batch_size=8 progress=false``
"""


def test_new_names_are_keys_and_old_ones_are_none() -> None:
    keys = dict(schema_keys(TrainConfig))
    for source in SOURCES:
        keys |= dict(schema_keys(data_node(source), "data."))
    assert set(RENAMED.values()) <= set(keys)
    assert not set(RENAMED) & set(keys)


@pytest.mark.parametrize(
    "typed",
    [
        ["model.strongest_cells=0.1"],
        ["+model.strongest_cells=0.1"],
        ["-m", "model.strongest_cells=0.1,0.2"],
        ["-m", "sweep.space={model.strongest_cells: '0.1,0.2'}"],
    ],
)
def test_an_old_key_is_refused_with_the_new_one(
    typed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *typed]) == 2
    said = "model.strongest_cells: no such key any more; it is model.top_k_fraction now."
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("key", "new"), [item for item in RENAMED.items() if item[0] != "data.drawn"])
def test_an_old_key_in_an_option_file_is_refused(
    key: str, new: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    group, name = key.split(".")
    (tmp_path / group).mkdir()
    (tmp_path / group / "mine.yaml").write_text(f"# Mine.\n# x\n{name}: 0.3\n")
    assert main(["train", f"{group}=mine", "--config-dir", str(tmp_path)]) == 2
    assert f"{key}: no such key any more; it is {new} now." in capsys.readouterr().err


def test_a_run_of_an_earlier_version_keeps_its_settings(tmp_path: Path) -> None:
    shutil.copyfile(FORMER_RUN, tmp_path / "config.yaml")
    asked = TrainConfig(
        **{name: yaml.safe_load(FORMER_RUN.read_text())[name] for name in ("callbacks", "logger")}
    )
    config = resumed_config(tmp_path, current=asked, overrides=[])
    assert config.model.top_k_fraction == 0.2
    assert config.recipe.unfreeze_by == 0.5
    assert config.model.image_size == 32


def test_only_old_names_change() -> None:
    old = {"model": {"strongest_cells": 0.2, "name": "resnet18"}, "recipe": {"all_stages_by": 1.0}, "seed": 2}
    new = {"model": {"top_k_fraction": 0.2, "name": "resnet18"}, "recipe": {"unfreeze_by": 1.0}, "seed": 2}
    assert with_new_names(old) == new
    assert with_new_names(new) == new
