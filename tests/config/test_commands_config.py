"""Rules between the nodes of a command."""

from __future__ import annotations

import re
from typing import Any

import pytest

from crack_lightning.config import AuditConfig, EvaluateConfig, PredictConfig, TrainConfig
from crack_lightning.config.nodes.augmentation import AugmentationConfig
from crack_lightning.config.nodes.data import DataConfig, data_config
from crack_lightning.config.nodes.evaluation import EvaluationConfig
from crack_lightning.config.nodes.model import ModelConfig
from crack_lightning.config.nodes.optimizer import OptimizerConfig, SchedulerConfig
from crack_lightning.config.nodes.recipe import LossConfig, RecipeConfig
from crack_lightning.config.nodes.split import SplitConfig
from crack_lightning.config.nodes.trainer import TrainerConfig
from crack_lightning.runtime.errors import ConfigError


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (EvaluateConfig(trainer=TrainerConfig(max_epochs=3)), "trainer.max_epochs: evaluate does not"),
        (EvaluateConfig(data=DataConfig(sampler="balanced")), "data.sampler: evaluate does not"),
        (EvaluateConfig(data=DataConfig(split=SplitConfig(seed=1))), "data.split.seed: evaluate does not"),
        (PredictConfig(trainer=TrainerConfig(monitor="val/accuracy")), "trainer.monitor: predict does not"),
        (PredictConfig(trainer=TrainerConfig(threads=1, accelerator="cpu")), None),
        (EvaluateConfig(data=DataConfig(batch_size=8, num_workers=1)), None),
        (
            PredictConfig(engine="eager", trainer=TrainerConfig(precision="bf16")),
            "engine: 'eager' determines",
        ),
        (PredictConfig(engine="openvino"), None),
        (PredictConfig(abstain=True, map=True), None),
        (PredictConfig(abstain=True, explain=True), None),
        (PredictConfig(checkpoint="best.ckpt", scale=0.5), "scale: only crack maps read it, got 0.5"),
        (PredictConfig(checkpoint="builtin", scale=0.5, map=False), "scale: only crack maps read it"),
        (PredictConfig(checkpoint="builtin", scale=0.5), None),
        (PredictConfig(checkpoint="best.ckpt", scale=0.5, map=True), None),
        (AuditConfig(data=data_config("painted", base="metu")), "data: audit needs existing files"),
    ],
)
def test_a_key_that_a_command_does_not_read_is_refused(
    config: AuditConfig | EvaluateConfig | PredictConfig, said: str | None
) -> None:
    problems = config.problems()
    assert [problem.startswith(said or "") for problem in problems] == ([True] if said else [])


_TENSORBOARD = "pytorch_lightning.loggers.TensorBoardLogger"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"optimizer": OptimizerConfig(lr=0.1)}, "optimizer.lr: recipe=probe does not read it"),
        ({"scheduler": SchedulerConfig(name="cosine")}, "scheduler.name: recipe=probe does not"),
        ({"model": ModelConfig(drop_rate=0.2, weights="imagenet")}, "model.drop_rate: recipe=probe does not"),
        ({"data": DataConfig(sampler="balanced")}, "data.sampler: recipe=probe does not"),
        ({"trainer": TrainerConfig(monitor="val/accuracy")}, "trainer.monitor: recipe=probe does not"),
        ({"callbacks": {"a": {"_target_": "x"}}}, "callbacks: recipe=probe has no steps"),
        ({"callbacks": {"a": None}}, None),
        ({"trainer": TrainerConfig(checkpoint_every=9)}, "trainer.checkpoint_every: recipe=probe does not"),
        (
            {"logger": {"csv": {"_target_": "pytorch_lightning.loggers.CSVLogger"}}},
            "logger.csv: recipe=probe",
        ),
        ({"logger": {"x": {"_target_": _TENSORBOARD, "log_graph": True}}}, "logger.x: recipe=probe has no"),
        ({"logger": {"x": {"_target_": _TENSORBOARD}, "y": None}}, None),
        ({"plugins": ["json"]}, None),
        ({"augmentation": AugmentationConfig(flip=True)}, "recipe.views: views are what augmentation"),
        ({"recipe": RecipeConfig(name="probe", views=2)}, "recipe.views: views are what augmentation"),
        ({"recipe": RecipeConfig(name="probe", ema_decay=0.9)}, "recipe.ema_decay: recipe=probe does not"),
        (
            {"recipe": RecipeConfig(name="probe", loss=LossConfig(label_smoothing=0.1))},
            "recipe.loss.label_smoothing: recipe=probe does not",
        ),
        ({"recipe": RecipeConfig(l2=0.1)}, "recipe.l2: recipe=scratch does not read it; use recipe=probe"),
        ({"recipe": RecipeConfig(engine="eager")}, "recipe.engine: recipe=scratch does not"),
        ({"trainer": TrainerConfig(max_epochs=5, max_train_batches=3)}, None),
    ],
)
def test_what_a_recipe_does_not_read_is_refused(changes: dict[str, Any], said: str | None) -> None:
    plain: dict[str, Any] = {"recipe": RecipeConfig(name="probe"), "model": ModelConfig(weights="imagenet")}
    config = TrainConfig(**plain | changes)
    problems = config.problems()
    assert [problem.startswith(said or "") for problem in problems] == ([True] if said else [])


@pytest.mark.parametrize(
    ("sizes", "epochs", "said"),
    [
        ([64, 80], None, r"recipe\.sizes: .* model\.image_size=96 .* got \[64, 80\]"),
        ([128, 96], None, r"recipe\.sizes: .* model\.image_size=96 .* got \[128, 96\]"),
        ([64, 80, 96], 2, r"trainer\.max_epochs: recipe\.sizes has 3 sizes, .* got 2; set 3 or more"),
        ([64, 80, 96], 3, None),
        ([], 1, None),
    ],
)
def test_training_grows_to_the_models_size_within_its_epochs(
    sizes: list[int], epochs: int | None, said: str | None
) -> None:
    config = TrainConfig(
        recipe=RecipeConfig(sizes=sizes),
        model=ModelConfig(image_size=96, head="pooled"),
        trainer=TrainerConfig(max_epochs=epochs),
    )
    problems = config.problems()
    assert [bool(re.match(said or "", problem)) for problem in problems] == ([True] if said else [])


@pytest.mark.parametrize(("head", "refused"), [("local", 0), ("auto", 0), ("pooled", 1)])
def test_only_a_local_head_may_answer_larger_tiles_than_it_learnt_from(head: str, refused: int) -> None:
    config = TrainConfig(recipe=RecipeConfig(sizes=[64]), model=ModelConfig(image_size=96, head=head))
    found = [problem for problem in config.problems() if "model.image_size=96 pixels, got [64]" in problem]
    assert len(found) == refused


def test_many_tiles_do_not_take_the_epochs_that_sizes_need() -> None:
    config = TrainConfig(recipe=RecipeConfig(sizes=[48, 64, 72, 80, 96]), model=ModelConfig(image_size=96))
    assert config.epochs_for(40_000) == 5


@pytest.mark.parametrize(
    ("recipe", "weights", "rate"),
    [("scratch", "none", 0.2), ("scratch", "imagenet", 3e-3), ("finetune", "none", 3e-3)],
)
def test_the_networks_own_rate_is_for_random_weights(recipe: str, weights: str, rate: float) -> None:
    model = ModelConfig(weights=weights, scratch_lr=0.2)
    assert TrainConfig(model=model, recipe=RecipeConfig(name=recipe)).learning_rate == rate


@pytest.mark.parametrize(("recipe", "weights"), [("scratch", "imagenet"), ("finetune", "none")])
def test_the_networks_own_rate_is_refused_where_nothing_reads_it(recipe: str, weights: str) -> None:
    config = TrainConfig(model=ModelConfig(weights=weights, scratch_lr=0.2), recipe=RecipeConfig(name=recipe))
    config.require_read(["model=mine", "seed=1"])  # an option of the user's own may set it
    with pytest.raises(ConfigError, match=rf"^model.scratch_lr: .*, got 0.2 with recipe={recipe} and"):
        config.require_read(["model=mine", "model.scratch_lr=0.2"])


@pytest.mark.parametrize(
    ("names", "positive"), [(("crack", "intact", "rust"), "crack"), (("old", "new"), None)]
)
def test_a_threshold_is_for_two_classes_of_which_one_is_positive(
    names: tuple[str, ...], positive: str | None
) -> None:
    EvaluationConfig().check_classes(names, positive)
    EvaluationConfig(threshold="f1").check_classes(("crack", "intact"), "crack")
    with pytest.raises(ConfigError, match=rf"evaluation\.threshold: .* got f1 for {', '.join(names)}"):
        EvaluationConfig(threshold="f1").check_classes(names, positive)


LOCAL = ModelConfig(head="local", weights="imagenet", name="efficientnet_lite0")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipe": RecipeConfig(name="probe")}, "recipe.name: probe fits a pooled head"),
        ({"recipe": RecipeConfig(name="probe_then_finetune")}, "recipe.name: probe_then_finetune fits"),
        ({"augmentation": AugmentationConfig(cutmix_alpha=0.2)}, "augmentation: MixUp and CutMix mix"),
        (
            {"model": ModelConfig(head="pooled"), "recipe": RecipeConfig(loss=LossConfig(cells=2))},
            "recipe.loss.cells: model.head=pooled here does not read it",
        ),
        (
            {"model": ModelConfig(head="pooled", top_k_fraction=0.01)},
            "model.top_k_fraction: model.head=pooled here does not read it",
        ),
        ({"model": ModelConfig(top_k_fraction=0.01)}, None),
        (
            {
                "model": ModelConfig(weights="imagenet"),
                "recipe": RecipeConfig(name="probe", loss=LossConfig(cells=2)),
            },
            "recipe.loss.cells: model.head=auto here does not read it",
        ),
        ({"model": ModelConfig(weights="imagenet"), "recipe": RecipeConfig(name="probe")}, None),
        ({"model": ModelConfig(), "recipe": RecipeConfig(loss=LossConfig(cells=2))}, None),
        ({"model": ModelConfig(), "augmentation": AugmentationConfig(cutmix_alpha=0.2)}, None),
        ({"recipe": RecipeConfig(name="frozen", loss=LossConfig(cells=2))}, None),
        ({"augmentation": AugmentationConfig(paint=0.5)}, None),
    ],
)
def test_what_does_not_go_with_a_local_head_is_refused(changes: dict[str, Any], said: str | None) -> None:
    plain: dict[str, Any] = {"model": LOCAL, "recipe": RecipeConfig(name="finetune")}
    problems = TrainConfig(**plain | changes).problems()
    assert [problem.startswith(said or "") for problem in problems] == ([True] if said else [])


@pytest.mark.parametrize("recipe", ["frozen", "probe"])
def test_a_backbone_that_stays_as_it_is_is_not_random(recipe: str) -> None:
    [problem] = TrainConfig(recipe=RecipeConfig(name=recipe)).problems()
    assert problem.startswith(f"recipe.name: {recipe} leaves the backbone as it is, and model.weights=none")
    given = TrainConfig(recipe=RecipeConfig(name=recipe), model=ModelConfig(weights="a.safetensors"))
    assert given.problems() == []


def test_at_most_half_of_the_intact_tiles_are_painted_cracked() -> None:
    with pytest.raises(ConfigError, match=r"augmentation\.paint: .* got 0\.7"):
        AugmentationConfig(paint=0.7)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), 17.0])
def test_a_scale_is_a_positive_number(scale: float) -> None:
    with pytest.raises(ConfigError, match=rf"scale: expected a number .* got {scale}"):
        PredictConfig(scale=scale)
