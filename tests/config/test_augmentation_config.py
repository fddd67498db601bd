from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from crack_lightning.config.nodes.augmentation import AugmentationConfig
from crack_lightning.data.transforms.augmentation import Augmentation
from crack_lightning.data.transforms.mixup import mix_batch
from crack_lightning.runtime.errors import ConfigError

CONF = Path(__file__).parents[2] / "conf/augmentation"
MIXING = {"mixup_alpha", "cutmix_alpha", "mix_probability", "paint"}


def loaded(name: str) -> AugmentationConfig:
    merged = OmegaConf.merge(OmegaConf.structured(AugmentationConfig), OmegaConf.load(CONF / f"{name}.yaml"))
    config = OmegaConf.to_object(merged)
    assert isinstance(config, AugmentationConfig)
    return config


def test_none_is_every_default() -> None:
    assert loaded("none") == AugmentationConfig()


@pytest.mark.parametrize(("weaker", "stronger"), [("light", "standard"), ("standard", "strong")])
def test_each_option_holds_the_one_before_it(weaker: str, stronger: str) -> None:
    off, less, more = AugmentationConfig(), loaded(weaker), loaded(stronger)
    names = [field.name for field in fields(off)]
    used = [name for name in names if getattr(less, name) != getattr(off, name)]
    assert used
    for name in used:
        assert getattr(more, name) != getattr(off, name)
    assert any(getattr(more, n) != getattr(off, n) for n in set(names) - set(used))


def test_config_and_transform_have_the_same_keys_and_defaults() -> None:
    config = {field.name: getattr(AugmentationConfig(), field.name) for field in fields(AugmentationConfig)}
    assert config.keys() > MIXING
    transform = {field.name: getattr(Augmentation(), field.name) for field in fields(Augmentation)}
    transform = {name: list(v) if isinstance(v, tuple) else v for name, v in transform.items()}
    assert {name: value for name, value in config.items() if name not in MIXING} == transform
    defaults = {name: p.default for name, p in inspect.signature(mix_batch).parameters.items()}
    assert config["mixup_alpha"] == defaults["mixup_alpha"]
    assert config["cutmix_alpha"] == defaults["cutmix_alpha"]
    assert config["mix_probability"] == defaults["probability"]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("brightness", 1.5, "a number between 0 and 1"),
        ("translate", -0.1, "a number between 0 and 1"),
        ("noise_std", float("nan"), "a number between 0 and 1"),
        ("rotation_deg", 200.0, "a number between 0 and 180"),
        ("hue", 0.6, "a number between 0 and 0.5"),
        ("mix_probability", 2.0, "a number between 0 and 1"),
        ("mixup_alpha", -1.0, "a number between 0 and 100"),
        ("cutmix_alpha", float("inf"), "a number between 0 and 100"),
        ("scale", [1.2, 0.8], "[low, high], two ascending numbers between 0.1 and 10"),
        ("scale", [0.0, 1.0], "[low, high], two ascending numbers between 0.1 and 10"),
        ("blur_sigma_px", [1.0], "[low, high], two ascending numbers between 0.1 and 20"),
        ("jpeg_quality", [50.0, 101.0], "[low, high], two ascending numbers between 1 and 100"),
        ("shadow_depth", [0.1, float("nan")], "[low, high], two ascending numbers between 0 and 1"),
        ("erasing_area", [], "[low, high], two ascending numbers between 0 and 1"),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_full_key(key: str, value: Any, expected: str) -> None:
    sentence = f"augmentation.{key}: expected {expected}, got {value}."
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        AugmentationConfig(**{key: value})
