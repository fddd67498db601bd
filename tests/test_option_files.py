"""Option files of a user's own, with as little in them as may be."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from crack_lightning.config import TrainConfig, conf_dir, conf_files, parse, register_schemas
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.sweep.jobs.launchers import chosen_launcher

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = {
    "model": "image_size: 224",
    "optimizer": "lr: 0.01",
    "scheduler": "warmup_fraction: 0.1",
    "recipe": "ema_decay: 0.9",
    "data": "batch_size: 8",
    "trainer": "max_epochs: 7",
    "augmentation": "hue: 0.01",
    "callbacks": "# nothing yet",
    "logger": "",
    "experiment": "# @package _global_\nseed: 3",
}


def configured(conf: Path, *overrides: str) -> TrainConfig:
    register_schemas("train")
    with initialize_config_dir(str(conf), version_base="1.3"):
        return parse(compose("train", overrides=list(overrides)), TrainConfig)


@pytest.mark.parametrize("group", OPTIONS)
def test_an_option_file_needs_no_more_than_what_differs(
    group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(conf_dir(), conf)
    (conf / group / "mine.yaml").write_text(OPTIONS[group], encoding="utf-8")
    monkeypatch.setattr(conf_files, "conf_dir", lambda: conf)
    for weights in ("none", "imagenet"):
        config = configured(conf, f"{group}=mine", f"model.weights={weights}")
        wanted = OmegaConf.to_container(OmegaConf.create(OPTIONS[group])) or {}
        node = config if group == "experiment" else getattr(config, group)
        assert isinstance(wanted, dict)
        values: dict[Any, Any] = node if isinstance(node, dict) else vars(node)
        assert all(values[key] == wanted[key] for key in wanted)


def test_an_option_beside_the_project_may_set_the_rate_of_its_network(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("name: resnet26\nscratch_lr: 0.2", encoding="utf-8")
    overrides = [f"hydra.searchpath=[file://{tmp_path}]", "model=mine", "recipe=finetune"]
    config = configured(conf_dir(), *overrides, "model.weights=imagenet")
    config.require_read(overrides)
    assert config.learning_rate == 3e-3


def test_a_launcher_without_its_class_is_refused() -> None:
    node = {"runtime": {"choices": {"hydra/launcher": "mine"}}, "launcher": {"cpus_per_task": 4}}
    with pytest.raises(ConfigError, match="hydra/launcher: mine has no _target_"):
        chosen_launcher(OmegaConf.create({"hydra": node}), pruner="none")
