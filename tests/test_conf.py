"""Every option file is composed, parsed and bound."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import OmegaConf

from crack_lightning.cli.arguments import hydra_arguments
from crack_lightning.config import compose_config, conf_dir, conf_files, parse, register_schemas
from crack_lightning.config.commands import COMMANDS, SCHEMAS

PRIMARIES = sorted(SCHEMAS)
OPTIONS = sorted(
    path.relative_to(conf_dir()).with_suffix("").as_posix()
    for path in conf_dir().rglob("*.yaml")
    if path.parent != conf_dir()
)
NEEDS = {
    "data/image_folder": ["data.root=tiles"],
    "model/timm": ["model.name=resnet10t"],
    "recipe/frozen": ["model.weights=imagenet"],
    "recipe/probe": ["model.weights=imagenet"],
    "experiment/transfer": ["data.sources.metu.root=tiles", "data.sources.uav75.root=uav75"],
    "cluster/ray": ["recipe=probe", "model.weights=imagenet"],
    "data/mixed": ["data.sources={a: {source: metu, root: tiles}}"],
}


def test_there_are_options_to_check() -> None:
    assert len(OPTIONS) > 25
    assert {"model/mobilenetv2", "data/synthetic", "trainer/smoke"} <= set(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_composes_parses_and_keeps_its_rules(option: str) -> None:
    group, _, name = option.rpartition("/")
    config = parse(compose_config("train", [f"{group}={name}", *NEEDS.get(option, [])]), SCHEMAS["train"])
    assert OmegaConf.structured(config) is not None


@pytest.mark.parametrize("name", ["scratch", "finetune"])
def test_pretrained_weights_move_more_slowly_than_weights_from_nothing(name: str) -> None:
    scratch = parse(compose_config("train"), SCHEMAS["train"])
    pretrained = compose_config("train", [f"recipe={name}", "model.weights=imagenet"])
    assert parse(pretrained, SCHEMAS["train"]).learning_rate < scratch.learning_rate
    asked = compose_config("train", [f"recipe={name}", "optimizer.lr=0.5"])
    assert parse(asked, SCHEMAS["train"]).learning_rate == 0.5


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_opens_with_what_it_is_and_how_to_run_it(option: str) -> None:
    text = (conf_dir() / f"{option}.yaml").read_text(encoding="utf-8")
    first, second, *_ = text.removeprefix("# @package _global_\n").splitlines()  # Hydra reads it there alone
    assert first.startswith("# ")
    group, _, name = option.rpartition("/")
    assert re.match(rf"# python -m crack_lightning\.\w+ .*{group}(={name}\b|\.)", second)


@pytest.mark.parametrize(
    "option", [option for option in OPTIONS if option.startswith(("callbacks/", "logger/"))]
)
def test_targets_of_an_option_are_built(option: str, tmp_path: Path) -> None:
    from crack_lightning.runtime.targets import build_targets

    group, _, name = option.rpartition("/")
    config = parse(compose_config("train", [f"{group}={name}"]), SCHEMAS["train"])
    defaults = {
        "monitor": "val/loss",
        "mode": "min",
        "save_dir": tmp_path,
        "name": "tensorboard",
        "version": "",
    }
    nodes = getattr(config, group)
    assert len(build_targets(group, nodes, defaults=defaults, plugins=[])) == len(nodes)


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.startswith("hydra/launcher/")])
def test_a_launcher_takes_its_option(option: str, tmp_path: Path) -> None:
    register_schemas("train")
    group, _, name = option.rpartition("/")
    overrides = [f"{group}={name}", f"hydra.sweep.dir={tmp_path}", "hydra.sweep.subdir=0"]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("train", overrides=overrides, return_hydra_config=True)
        context = HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks())
        launcher = Plugins.instance().instantiate_launcher(context, lambda _: 0, config)
    assert f"{type(launcher).__module__}.{type(launcher).__name__}" == config.hydra.launcher._target_


@pytest.mark.parametrize("primary", PRIMARIES)
def test_a_primary_composes_with_the_example_of_its_command(primary: str) -> None:
    arguments = hydra_arguments(primary, COMMANDS[primary].example.split())
    assert isinstance(parse(compose_config(primary, arguments), SCHEMAS[primary]), SCHEMAS[primary])


def test_a_wheel_composes_from_its_own_folder_and_a_checkout_from_the_repositorys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, package = conf_dir(), tmp_path / "crack_lightning"
    assert repository == Path(__file__).parents[1] / "conf"
    shutil.copytree(repository, package / "conf")
    (package / "conf" / "model" / "wheel.yaml").write_text("name: resnet10t\nlabel: from_the_wheel\n")
    monkeypatch.setattr(conf_files, "__file__", str(package / "config" / "conf_files.py"))
    assert conf_dir() == package / "conf"
    assert compose_config("train", ["model=wheel"]).model.label == "from_the_wheel"


def test_a_mapping_that_is_unset_by_default_can_be_given() -> None:
    typed = ["data=image_folder", "data.root=x", "data.class_names={A: crack, B: intact}"]
    assert parse(compose_config("train", typed), SCHEMAS["train"]).data.class_names == {
        "A": "crack",
        "B": "intact",
    }
