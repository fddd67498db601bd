"""Rules between the nodes of a command."""

from __future__ import annotations

import pytest

from crack_lightning.config import EvaluateConfig, PredictConfig, TrainConfig
from crack_lightning.config.data import DataConfig, SplitConfig
from crack_lightning.config.model import ModelConfig
from crack_lightning.config.recipe import RecipeConfig
from crack_lightning.config.trainer import TrainerConfig


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (EvaluateConfig(trainer=TrainerConfig(max_epochs=3)), "trainer.max_epochs: evaluate does not"),
        (EvaluateConfig(data=DataConfig(sampler="balanced")), "data.sampler: evaluate does not"),
        (EvaluateConfig(data=DataConfig(split=SplitConfig(seed=1))), "data.split: evaluate does not"),
        (PredictConfig(trainer=TrainerConfig(monitor="val/accuracy")), "trainer.monitor: predict does not"),
        (PredictConfig(trainer=TrainerConfig(threads=1, accelerator="cpu")), None),
        (EvaluateConfig(data=DataConfig(batch_size=8, num_workers=1)), None),
    ],
)
def test_a_key_that_a_command_does_not_read_is_refused(
    config: EvaluateConfig | PredictConfig, said: str | None
) -> None:
    problems = config.problems()
    assert [problem.startswith(said or "") for problem in problems] == ([True] if said else [])


@pytest.mark.parametrize(
    ("recipe", "weights", "rate"),
    [("scratch", "none", 0.2), ("scratch", "imagenet", 3e-3), ("probe", "none", 3e-3)],
)
def test_the_networks_own_rate_is_for_random_weights(recipe: str, weights: str, rate: float) -> None:
    model = ModelConfig(weights=weights, scratch_lr=0.2)
    assert TrainConfig(model=model, recipe=RecipeConfig(name=recipe)).learning_rate == rate
