"""What ``trainer.devices`` can share out, told before torch is imported."""

from __future__ import annotations

from typing import Any

import pytest

from crack_lightning.config import TrainConfig
from crack_lightning.config.nodes.data import DataConfig
from crack_lightning.config.nodes.model import ModelConfig
from crack_lightning.config.nodes.recipe import RecipeConfig
from crack_lightning.config.nodes.trainer import TrainerConfig

FINDER = "pytorch_lightning.callbacks.LearningRateFinder"


def config(
    *, batch_size: int = 32, recipe: str = "scratch", callback: str = "", **trainer: Any
) -> TrainConfig:
    return TrainConfig(
        data=DataConfig(batch_size=batch_size),
        recipe=RecipeConfig(name=recipe),
        model=ModelConfig(weights="imagenet"),
        trainer=TrainerConfig(**trainer),
        callbacks={"mine": {"_target_": callback}} if callback else {},
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"accelerator": "cpu", "devices": 2},
        {"accelerator": "auto", "devices": 4},
        {"accelerator": "gpu", "devices": None, "sync_batchnorm": True, "batch_size": 33},
        {"accelerator": "cpu", "callback": FINDER},
    ],
)
def test_what_can_be_shared_out_passes(settings: dict[str, Any]) -> None:
    assert config(**settings).problems() == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"accelerator": "cpu", "devices": None}, "null is every GPU, and trainer.accelerator is cpu"),
        (
            {"accelerator": "cpu", "devices": 2, "sync_batchnorm": True},
            "BatchNorm, and trainer.accelerator is cpu",
        ),
        ({"accelerator": "gpu", "sync_batchnorm": True}, "one device has none to synchronise with"),
        ({"devices": 2, "recipe": "probe"}, "trainer.devices: recipe=probe has no steps to share"),
        ({"devices": 3}, "expected a multiple of trainer.devices=3, which share a batch, got 32; set 33."),
        ({"devices": 2, "callback": FINDER}, f"callbacks.mine: {FINDER} tries batches in one process"),
    ],
)
def test_what_cannot_be_shared_out_is_one_sentence(settings: dict[str, Any], said: str) -> None:
    [problem] = config(**settings).problems()
    assert said in problem
