from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from omegaconf import DictConfig, OmegaConf

from crack_lightning.config.nodes.model import ModelConfig, timm_model_names
from crack_lightning.config.nodes.optimizer import OptimizerConfig, SchedulerConfig
from crack_lightning.model.backbones import build_backbone
from crack_lightning.model.optimizers import OPTIMIZERS, build_optimizer, optimizers_reading
from crack_lightning.model.schedulers import lr_factor
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.settings import settings_of

CONF = Path(__file__).parents[2] / "conf"
NODES: dict[str, type[Any]] = {
    "model": ModelConfig,
    "optimizer": OptimizerConfig,
    "scheduler": SchedulerConfig,
}
OPTIONS = [(group, path) for group in NODES for path in sorted((CONF / group).rglob("*.yaml"))]


def load(path: Path) -> DictConfig:
    values = OmegaConf.load(path)
    assert isinstance(values, DictConfig)
    return values


def read(group: str, path: Path) -> object:
    values = load(path)
    if values["name"] == "":  # any name of timm's
        values["name"] = "resnet26"
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(NODES[group]), values))


def test_the_names_read_from_timms_source_are_those_it_registers() -> None:
    assert timm_model_names() == set(timm.list_models())


def test_names_are_read_without_importing_timm_or_torch() -> None:
    script = (
        "import sys\n"
        "from crack_lightning.config.nodes.model import ModelConfig\n"
        "ModelConfig(name='resnet18')\n"
        "print({'torch', 'timm', 'torchvision', 'pytorch_lightning', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(("group", "path"), OPTIONS, ids=lambda value: getattr(value, "stem", value))
def test_an_option_file_holds_only_what_differs(group: str, path: Path) -> None:
    assert read(group, path)
    default = OmegaConf.structured(NODES[group])
    values = load(path)
    assert all(key == "name" or values[key] != default[key] for key in values)


@pytest.mark.parametrize(
    "path",
    [path for group, path in OPTIONS if group == "model" and path.stem != "timm"],
    ids=lambda p: p.stem,
)
def test_the_parameter_count_in_a_models_header_is_true(path: Path) -> None:
    config = read("model", path)
    assert isinstance(config, ModelConfig)
    model = build_backbone(
        config.name, num_classes=2, drop_rate=0.0, drop_path_rate=0.0, image_size=config.image_size
    )
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert f"{millions:.1f} M parameters" in path.read_text(encoding="utf-8").splitlines()[0]


def test_the_label_is_the_name_where_none_is_given() -> None:
    assert ModelConfig(name="resnet26").short_name == "resnet26"
    assert ModelConfig(name="mobilenetv2_100", label="mobilenetv2").short_name == "mobilenetv2"


@pytest.mark.parametrize(
    ("group", "values", "said"),
    [
        ("model", {"name": "nosuchnet"}, r"model\.name: .*got 'nosuchnet'"),
        ("model", {"name": "mobilnetv2_100"}, r"got 'mobilnetv2_100'; did you mean mobilenetv2_100\?"),
        ("model", {"name": "repvgg_a0"}, "'repvgg_a0' is refused"),
        ("model", {"name": "hf-hub:timm/resnet18"}, "got 'hf-hub:timm/resnet18'"),
        ("model", {"name": "local-dir:x"}, "got 'local-dir:x'"),
        ("model", {"weights": "imagnet"}, r"got 'imagnet'; did you mean imagenet\?"),
        ("model", {"weights": "w.onnx"}, r"model\.weights: .*got 'w\.onnx'"),
        ("model", {"name": "plain_cnn", "weights": "imagenet"}, "plain_cnn has no ImageNet weights"),
        ("model", {"name": "plain_cnn", "drop_path_rate": 0.1}, r"drop_path_rate: plain_cnn .*got 0\.1"),
        ("model", {"name": "plain_cnn", "head": "local"}, "which plain_cnn lacks"),
        ("model", {"label": "../x"}, r"model\.label: .*got '\.\./x'"),
        ("model", {"image_size": 8}, r"model\.image_size: .*got 8"),
        ("model", {"drop_rate": 1.0}, r"model\.drop_rate: .*got 1\.0"),
        ("model", {"drop_path_rate": -0.1}, r"model\.drop_path_rate: .*got -0\.1"),
        ("model", {"top_k_fraction": 0.0}, r"model\.top_k_fraction: .* got 0\.0"),
        ("model", {"top_k_fraction": 1.5}, r"model\.top_k_fraction: .* got 1\.5"),
        ("optimizer", {"name": "lion"}, r"optimizer\.name: .*got 'lion'"),
        ("optimizer", {"lr": 0.0}, r"optimizer\.lr: .*got 0"),
        ("optimizer", {"lr": -1.0}, r"optimizer\.lr: .*got -1\.0"),
        ("optimizer", {"weight_decay": -0.1}, r"optimizer\.weight_decay: .*got -0\.1"),
        ("optimizer", {"name": "sgd", "momentum": 1.0}, r"optimizer\.momentum: .*got 1\.0"),
        *(
            ("optimizer", {"name": name, "momentum": 0.5}, rf"momentum: {name} does not read it, got 0\.5")
            for name in OPTIMIZERS
            if "momentum" not in OPTIMIZERS[name].reads
        ),
        ("scheduler", {"name": "plateau"}, r"scheduler\.name: .*got 'plateau'"),
        ("scheduler", {"warmup_fraction": 1.0}, r"scheduler\.warmup_fraction: .*got 1\.0"),
    ],
)
def test_a_value_that_cannot_be_is_refused(group: str, values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        NODES[group](**values)


@pytest.mark.parametrize("name", optimizers_reading("momentum"))
def test_momentum_is_taken_where_an_optimizer_reads_it(name: str) -> None:
    assert OptimizerConfig(name=name, momentum=0.5).momentum == 0.5


@pytest.mark.parametrize("name", settings_of(OptimizerConfig)["name"].choices)
def test_an_optimizer_that_the_configuration_takes_is_built_and_moves_weights(name: str) -> None:
    weight = torch.nn.Parameter(torch.ones(3, 3))
    optimizer = build_optimizer([{"params": [weight]}], name=name, lr=0.1)
    weight.square().sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert (weight < 1).all()


@pytest.mark.parametrize("name", settings_of(SchedulerConfig)["name"].choices)
def test_a_schedule_that_the_configuration_takes_has_a_rate_at_every_step(name: str) -> None:
    rates = [lr_factor(step, name=name, total_steps=10, warmup_fraction=0.2) for step in range(10)]
    assert all(0 < rate <= 1 for rate in rates)
