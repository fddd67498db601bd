"""Rules between the nodes of a command."""

from __future__ import annotations

import re
from typing import Any

import pytest

from crack_lightning.config import EvaluateConfig, PredictConfig, TrainConfig
from crack_lightning.config.data import DataConfig, SplitConfig
from crack_lightning.config.model import ModelConfig
from crack_lightning.config.recipe import RecipeConfig
from crack_lightning.config.trainer import TrainerConfig
from crack_lightning.errors import ConfigError


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
    ("split", "said"),
    [
        (SplitConfig(fold=1), r"data\.split\.fold: not read without data\.split\.folds"),
        (SplitConfig(folds=3, file="splits.csv"), r"data\.split\.folds: .* data\.split\.file does not read"),
        (SplitConfig(seed=3, file="splits.csv"), r"data\.split\.seed: .* data\.split\.file does not read"),
    ],
)
def test_settings_of_folds_that_nothing_reads_are_named(split: SplitConfig, said: str) -> None:
    [problem] = TrainConfig(data=DataConfig(split=split)).problems()
    assert re.match(said, problem)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"folds": 5, "fold": 5}, r"data\.split\.fold: expected a number between 0 and 4, got 5"),
        ({"folds": 1}, r"data\.split\.folds: .* got 1"),
        ({"strategy": "blind"}, r"data\.split\.strategy: .* got 'blind'"),
    ],
)
def test_folds_out_of_range_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SplitConfig(**wrong)


@pytest.mark.parametrize(
    ("recipe", "weights", "rate"),
    [("scratch", "none", 0.2), ("scratch", "imagenet", 3e-3), ("probe", "none", 3e-3)],
)
def test_the_networks_own_rate_is_for_random_weights(recipe: str, weights: str, rate: float) -> None:
    model = ModelConfig(weights=weights, scratch_lr=0.2)
    assert TrainConfig(model=model, recipe=RecipeConfig(name=recipe)).learning_rate == rate
