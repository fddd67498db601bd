"""Stages are found in every network, open from the top, and what is frozen stays as it is."""

from __future__ import annotations

import pytest
import torch

from crack_lightning.model.backbones import head_keys
from crack_lightning.model.layer_groups import (
    freeze_batchnorm,
    freeze_modules,
    layer_groups,
    num_unfrozen,
    parameter_groups,
    unfreeze_last,
)
from tests.model.networks import build

NAMES = ["plain_cnn", "mobilenetv2_100", "mobilenetv3_small_100", "tf_efficientnet_lite0", "convnext_atto"]


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_in_one_stage_and_the_head_in_the_last(name: str) -> None:
    model = build(name)
    parts = layer_groups(model)
    assert sorted(key for part in parts for key in part) == sorted(key for key, _ in model.named_parameters())
    assert head_keys(model) & {key for key, _ in model.named_parameters()} <= set(parts[-1])
    assert len(parts) == 2 if name == "plain_cnn" else len(parts) >= 6
    assert next(iter(dict(model.named_parameters()))) in parts[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", [1, 2])
def test_only_what_is_open_learns(name: str, number: int) -> None:
    model = build(name).train()
    unfreeze_last(model, number)
    freeze_modules(model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(torch.randn(2, 3, 64, 64)).square().sum().backward()
    optimizer.step()
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    below = [key for part in layer_groups(model)[:-number] for key in part]
    modules = tuple(f"{key.rpartition('.')[0]}." for key in below)
    assert not [key for key in changed if modules and key.startswith(modules)]
    assert any(key in changed for key in layer_groups(model)[-1])


def test_stages_that_open_later_learn_with_their_normalisation() -> None:
    model = build("mobilenetv2_100").train()
    unfreeze_last(model, 1)
    freeze_modules(model)
    assert not model.bn1.training  # type: ignore[union-attr]
    unfreeze_last(model, len(layer_groups(model)))
    freeze_modules(model.train())
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_statistics_rest_while_scale_and_shift_learn() -> None:
    model = build("mobilenetv2_100").train()
    freeze_batchnorm(model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(2, 3, 64, 64)).square().sum().backward()
    optimizer.step()
    after = model.state_dict()
    assert torch.equal(after["bn1.running_mean"], before["bn1.running_mean"])
    assert not torch.equal(after["bn1.weight"], before["bn1.weight"])
    assert model.classifier.training  # type: ignore[union-attr]


def test_dropout_before_the_head_stays_on_over_frozen_stages() -> None:
    for name in ("mobilenetv2_100", "convnext_atto", "plain_cnn"):
        model = build(name, drop_rate=0.5).train()
        unfreeze_last(model, 1)
        freeze_modules(model)
        image = torch.randn(1, 3, 64, 64)
        assert not torch.equal(model(image), model(image)), name


def test_each_stage_has_its_share_of_the_next_ones_rate() -> None:
    model = build("mobilenetv2_100")
    recipe = "probe_then_finetune"
    groups = parameter_groups(model, recipe=recipe, lr=0.8, backbone_scale=1.0, stage_scale=0.5)
    assert [group["lr"] for group in groups[-3:]] == pytest.approx([0.2, 0.4, 0.8])
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("recipe", "rates"),
    [
        ("scratch", {"backbone": 0.8, "head": 0.8}),
        ("finetune", {"backbone": 0.08, "head": 0.8}),
        ("frozen", {"head": 0.8}),
        ("probe_then_finetune", {"stage0": 0.4, "stage1": 0.8}),
    ],
)
def test_each_recipe_has_its_groups_and_rates(recipe: str, rates: dict[str, float]) -> None:
    groups = parameter_groups(build("plain_cnn"), recipe=recipe, lr=0.8, backbone_scale=0.1, stage_scale=0.5)
    assert {group["name"]: group["lr"] for group in groups} == pytest.approx(rates)


def test_stages_open_at_equal_intervals() -> None:
    opened = [num_unfrozen(9, progress=step / 16, all_by=0.5) for step in range(17)]
    assert opened == [1, 2, 3, 4, 5, 6, 7, 8, *[9] * 9]
    assert num_unfrozen(9, progress=0.0, all_by=0.0) == 9
