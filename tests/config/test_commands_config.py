"""Rules between the nodes of a command."""

from __future__ import annotations

import re
from typing import Any

import pytest

from crack_lightning.config import AuditConfig, EvaluateConfig, PredictConfig, TrainConfig
from crack_lightning.config.augmentation import AugmentationConfig
from crack_lightning.config.data import DataConfig
from crack_lightning.config.evaluation import EvaluationConfig
from crack_lightning.config.model import ModelConfig
from crack_lightning.config.optimizer import OptimizerConfig, SchedulerConfig
from crack_lightning.config.recipe import LossConfig, RecipeConfig
from crack_lightning.config.sources import MaskedConfig
from crack_lightning.config.split import SplitConfig
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
        (PredictConfig(engine="eager", trainer=TrainerConfig(precision="bf16")), "engine: 'eager' says"),
        (PredictConfig(engine="openvino"), None),
        (PredictConfig(abstain=True, map=True), "abstain: answers for whole pictures are expected"),
        (PredictConfig(abstain=True, explain=True), None),
        (AuditConfig(data=DataConfig(source="painted", base="metu")), "data: audit looks at files"),
    ],
)
def test_a_key_that_a_command_does_not_read_is_refused(
    config: AuditConfig | EvaluateConfig | PredictConfig, said: str | None
) -> None:
    problems = config.problems()
    assert [problem.startswith(said or "") for problem in problems] == ([True] if said else [])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"optimizer": OptimizerConfig(lr=0.1)}, "optimizer.lr: recipe=probe does not read it"),
        ({"scheduler": SchedulerConfig(name="cosine")}, "scheduler.name: recipe=probe does not"),
        ({"model": ModelConfig(drop_rate=0.2)}, "model.drop_rate: recipe=probe does not"),
        ({"data": DataConfig(sampler="balanced")}, "data.sampler: recipe=probe does not"),
        ({"trainer": TrainerConfig(monitor="val/accuracy")}, "trainer.monitor: recipe=probe does not"),
        ({"callbacks": {"a": {}}}, "callbacks: recipe=probe has no steps"),
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
    config = TrainConfig(**{"recipe": RecipeConfig(name="probe")} | changes)
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
        model=ModelConfig(image_size=96),
        trainer=TrainerConfig(max_epochs=epochs),
    )
    problems = config.problems()
    assert [bool(re.match(said or "", problem)) for problem in problems] == ([True] if said else [])


def test_many_tiles_do_not_take_the_epochs_that_sizes_need() -> None:
    config = TrainConfig(recipe=RecipeConfig(sizes=[48, 64, 72, 80, 96]), model=ModelConfig(image_size=96))
    assert config.epochs_for(40_000) == 5


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
    [("scratch", "none", 0.2), ("scratch", "imagenet", 3e-3), ("finetune", "none", 3e-3)],
)
def test_the_networks_own_rate_is_for_random_weights(recipe: str, weights: str, rate: float) -> None:
    model = ModelConfig(weights=weights, scratch_lr=0.2)
    assert TrainConfig(model=model, recipe=RecipeConfig(name=recipe)).learning_rate == rate


@pytest.mark.parametrize(("recipe", "weights"), [("scratch", "imagenet"), ("finetune", "none")])
def test_the_networks_own_rate_is_refused_where_nothing_reads_it(recipe: str, weights: str) -> None:
    def problems(rate: float) -> list[str]:
        model = ModelConfig(weights=weights, scratch_lr=rate)
        return TrainConfig(model=model, recipe=RecipeConfig(name=recipe)).problems()

    of_the_option = 0.025  # in conf/model/mobilenetv2.yaml: nobody set it
    assert problems(ModelConfig.scratch_lr) == problems(of_the_option) == []
    [problem] = problems(0.2)
    assert problem.startswith("model.scratch_lr: ")
    assert f"got 0.2 with recipe={recipe}" in problem


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"mask_width": "thin"}, r"data\.masked\.mask_width: .* got 'thin'"),
        ({"crack_values": [300]}, r"data\.masked\.crack_values and hard_negatives: .* got 300"),
        ({"least_crack_px": 0}, r"data\.masked\.least_crack_px: .* got 0"),
    ],
)
def test_rules_of_masks_out_of_range_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        MaskedConfig(**wrong)


def test_masks_are_for_masked_photos() -> None:
    [problem] = TrainConfig(data=DataConfig(masked=MaskedConfig(tile_px=64))).problems()
    assert problem.startswith("data.masked: data=synthetic does not read it; use data=masked_photos")
    assert MaskedConfig(mask_width="True").rules()["mask_width"] == "true"


def test_millimetres_are_for_known_widths() -> None:
    masks_with_widths = MaskedConfig(mask_width="true")
    assert not TrainConfig(data=DataConfig(mm_per_px=0.1)).problems()
    assert not DataConfig(source="masked_photos", masked=masks_with_widths, mm_per_px=0.1).problems()
    [problem] = DataConfig(source="masked_photos", mm_per_px=0.1).problems()
    assert problem.startswith("data.mm_per_px: no width is known where masks are lines; set data.masked.mask")
    [problem] = DataConfig(source="metu", mm_per_px=0.1).problems()
    assert problem.startswith("data.mm_per_px: data=metu does not read it; use data=synthetic or")
    [problem] = AuditConfig(data=DataConfig(mm_per_px=0.1)).problems()
    assert problem == "data.mm_per_px: audit does not read it; leave it out."
    with pytest.raises(ConfigError, match=r"data\.mm_per_px: .* got -0\.1"):
        DataConfig(mm_per_px=-0.1)
    with pytest.raises(ConfigError, match=r"data\.sources\.drawn\.mm_per_px: no such key"):
        mixed(sources={"drawn": {"source": "synthetic", "mm_per_px": 0.1}})


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


TWO: dict[str, Any] = {"metu": {"source": "metu", "root": "tiles"}, "drawn": {"source": "synthetic"}}


def mixed(**changes: Any) -> list[str]:
    return TrainConfig(data=DataConfig(**{"source": "mixed", "sources": TWO} | changes)).problems()


def test_parts_of_a_mixture_are_settings_of_their_own() -> None:
    assert mixed() == []
    parts = DataConfig(
        source="mixed", sources=TWO | {"m": {"source": "masked_photos", "masked": {"tile_px": 64}}}
    )
    assert parts.parts()["metu"].root == "tiles"
    assert parts.parts()["m"].masked.tile_px == 64


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sources": None}, r"data\.sources: data=mixed needs some"),
        ({"root": "tiles"}, r"data\.root: data=mixed does not read it"),
        ({"test_sources": ["mete"]}, r"data\.test_sources: expected some of metu, drawn, got 'mete'"),
        (
            {"sources": TWO | {"d": {"source": "synthetic", "root": "x"}}},
            r"data\.sources\.d\.root: data=synthetic",
        ),
        ({"source": "synthetic"}, r"data\.sources: data=synthetic does not read it; use data=mixed"),
        (
            {"test_sources": ["metu"], "split": SplitConfig(folds=3)},
            r"data\.split\.folds: train_sources and test_sources decide",
        ),
        (
            {"train_sources": ["metu"], "split": SplitConfig(file="splits.csv")},
            r"data\.split\.file: train_sources and test_sources decide",
        ),
    ],
)
def test_contradictions_of_a_mixture_are_named(changes: dict[str, Any], said: str) -> None:
    [problem] = mixed(**changes)
    assert re.match(said, problem)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"source": "metu", "rot": "x"}, r"data\.sources\.a\.rot: no such key; did you mean root\?"),
        ({"root": "x"}, r"data\.sources\.a: expected source and its keys"),
        ("metu", r"data\.sources: expected \{name: \{source: …\}, …\}, got \{'a': 'metu'\}"),
        ({"source": "metuu"}, r"data\.sources\.a\.source: .* got 'metuu'"),
        (
            {"source": "masked_photos", "masked": {"tile": 3}},
            r"data\.sources\.a: .*unexpected keyword.*'tile'",
        ),
    ],
)
def test_a_wrong_part_of_a_mixture_is_named(node: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        mixed(sources={"a": node})


LOCAL = ModelConfig(head="local", weights="imagenet", name="efficientnet_lite0")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipe": RecipeConfig(name="probe")}, "recipe.name: probe fits a pooled head"),
        ({"recipe": RecipeConfig(name="probe_then_finetune")}, "recipe.name: probe_then_finetune fits"),
        ({"augmentation": AugmentationConfig(cutmix_alpha=0.2)}, "augmentation: MixUp and CutMix share"),
        ({"model": ModelConfig(head="local"), "recipe": RecipeConfig(name="frozen")}, "recipe.name: frozen"),
        (
            {"model": ModelConfig(head="pooled"), "recipe": RecipeConfig(loss=LossConfig(cells=2))},
            "recipe.loss.cells: model.head=pooled here does not read it",
        ),
        (
            {"model": ModelConfig(), "recipe": RecipeConfig(name="probe", loss=LossConfig(cells=2))},
            "recipe.loss.cells: model.head=auto here does not read it",
        ),
        ({"model": ModelConfig(), "recipe": RecipeConfig(name="probe")}, None),
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


def test_a_plain_cnn_has_no_strides_for_a_local_head() -> None:
    with pytest.raises(ConfigError, match="which plain_cnn has not"):
        ModelConfig(name="plain_cnn", head="local")


PAINTED = {"source": "painted", "base": "real"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (DataConfig(source="painted", base="metu", root="tiles"), None),
        (DataConfig(source="painted"), "data.base: expected one of synthetic, metu"),
        (DataConfig(source="painted", base="mixed"), "data.base: expected one of .* got 'mixed'"),
        (DataConfig(source="painted", base="synthetic", root="tiles"), "data.root: data=painted does not"),
        (DataConfig(source="metu", base="metu"), "data.base: data=metu does not read it; use data=painted"),
        (DataConfig(source="mixed", sources={"real": {"source": "metu"}, "p": PAINTED}), None),
        (DataConfig(source="mixed", sources={"p": PAINTED}), "data.sources: painted tiles need another"),
        (
            DataConfig(source="mixed", sources={"a": {"source": "metu"}, "p": PAINTED}),
            "data.sources.p.base: expected one of a to paint on, got 'real'",
        ),
        (
            DataConfig(source="mixed", sources={"real": {"source": "metu"}, "p": PAINTED | {"root": "x"}}),
            "data.sources.p.root: data=painted does not read it",
        ),
    ],
)
def test_what_is_painted_on_must_be_there(data: DataConfig, said: str | None) -> None:
    problems = data.problems()
    assert [bool(re.match(said or "", problem)) for problem in problems] == ([True] if said else [])


def test_at_most_half_of_the_intact_tiles_are_painted_cracked() -> None:
    with pytest.raises(ConfigError, match=r"augmentation\.paint: .* got 0\.7"):
        AugmentationConfig(paint=0.7)
