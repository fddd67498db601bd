from __future__ import annotations

import copy
import io
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from crack_lightning.model.optimizers import OPTIMIZERS, build_optimizer
from crack_lightning.model.schedulers import SCHEDULERS, build_scheduler, lr_factor
from crack_lightning.runtime.errors import ConfigError


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))


def learn(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, *, first: int = 0) -> None:
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        optimizer.zero_grad()
        model(torch.randn(4, 3, 8, 8, generator=generator)).square().sum().backward()
        optimizer.step()


def test_biases_and_normalisation_are_never_decayed() -> None:
    model = network()
    optimizer = build_optimizer([{"params": model.parameters()}], name="adamw", lr=0.1, weight_decay=0.5)
    decayed = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    for key, parameter in model.named_parameters():
        assert decayed[id(parameter)] == (0.5 if key in ("0.weight", "3.weight") else 0.0), key


def test_groups_keep_their_rates_and_frozen_parameters_are_passed_over() -> None:
    model = network()
    model[0].weight.requires_grad_(False)
    groups: list[dict[str, Any]] = [
        {"params": model[:2].parameters(), "lr": 0.01, "name": "backbone"},
        {"params": model[3].parameters(), "name": "head"},
    ]
    optimizer = build_optimizer(groups, name="sgd", lr=0.1)
    rates = {group["name"]: (group["lr"], len(group["params"])) for group in optimizer.param_groups}
    assert rates == {"backbone_no_decay": (0.01, 2), "head": (0.1, 1), "head_no_decay": (0.1, 1)}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_step_is_that_of_torchs_plain_loop(name: str, layout: torch.memory_format) -> None:
    ours, theirs = network().to(memory_format=layout), network()
    optimizer = build_optimizer([{"params": ours.parameters()}], name=name, lr=0.01, momentum=0.9)
    plain: dict[str, Any] = {
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.0, foreach=False),
        "adam": lambda p: torch.optim.Adam(p, lr=0.01, foreach=False),
        "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True, foreach=False),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9, foreach=False),
    }
    learn(ours, optimizer, 5)
    learn(theirs, plain[name](theirs.parameters()), 5)
    for mine, wanted in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_moments_saved_in_another_memory_layout_are_restored_aright(name: str) -> None:
    """Without care a fused step pairs a weight with its neighbour's moment."""
    first = network().to(memory_format=torch.channels_last)
    optimizer = build_optimizer([{"params": first.parameters()}], name=name, lr=0.01)
    learn(first, optimizer, 3)
    saved = copy.deepcopy(optimizer.state_dict())
    second = network()
    second.load_state_dict(first.state_dict())
    resumed = build_optimizer([{"params": second.parameters()}], name=name, lr=0.01)
    resumed.load_state_dict(saved)
    learn(first, optimizer, 3, first=3)
    learn(second, resumed, 3, first=3)
    for mine, wanted in zip(second.parameters(), first.parameters(), strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-3, atol=1e-4)


def test_an_unknown_optimizer_and_one_with_nothing_to_do_are_refused() -> None:
    with pytest.raises(ConfigError, match="got 'lion'"):
        build_optimizer([{"params": network().parameters()}], name="lion", lr=0.1)
    frozen = network().requires_grad_(False)
    with pytest.raises(ConfigError, match="got 1 frozen groups"):
        build_optimizer([{"params": frozen.parameters()}], name="adamw", lr=0.1)


def factors(name: str, *, steps: int = 100, warmup: float = 0.2) -> list[float]:
    return [lr_factor(s, name=name, total_steps=steps, warmup_fraction=warmup) for s in range(steps + 3)]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_rate_rises_through_the_warm_up_and_never_after(name: str) -> None:
    rates = factors(name)
    rise, fall = rates[:21], rates[20:]
    assert all(a < b for a, b in pairwise(rise))
    assert all(a >= b for a, b in pairwise(fall))
    assert rates[20] == 1.0
    assert all(rate > 0 for rate in rates[:100])


def test_one_cycle_is_torchs_own() -> None:
    optimizer = torch.optim.SGD(network().parameters(), lr=1.0)
    # Torch places the peak at a fraction of (steps - 1) less one; ours at round(fraction * steps).
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=101, pct_start=21 / 101, cycle_momentum=False, final_div_factor=1e9
    )
    ours = factors("one_cycle")
    for step in range(100):
        assert ours[step] == pytest.approx(theirs.get_last_lr()[0], abs=1e-6), step
        optimizer.step()
        theirs.step()


def test_cosine_falls_along_half_a_cosine() -> None:
    rates = factors("cosine", warmup=0.0)
    assert rates[50] == pytest.approx(0.5)
    assert rates[25] == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert rates[100] == rates[102] == pytest.approx(0.0)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_schedule_resumed_anywhere_goes_on_exactly(name: str) -> None:
    def begin() -> tuple[torch.optim.Optimizer, Any]:
        model = network()
        groups: list[dict[str, Any]] = [
            {"params": model[:2].parameters(), "lr": 0.03},
            {"params": model[3].parameters()},
        ]
        optimizer = build_optimizer(groups, name="adamw", lr=0.3)
        return optimizer, build_scheduler(optimizer, name=name, total_steps=10, warmup_fraction=0.3)

    def go(optimizer: torch.optim.Optimizer, scheduler: Any, steps: int) -> list[list[float]]:
        seen = []
        for _ in range(steps):
            seen.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step()
            scheduler.step()
        return seen

    whole = go(*begin(), 10)
    for broken_at in range(10):
        optimizer, scheduler = begin()
        go(optimizer, scheduler, broken_at)
        file = io.BytesIO()
        torch.save([optimizer.state_dict(), scheduler.state_dict()], file)
        file.seek(0)
        saved = torch.load(file, weights_only=True)
        optimizer, scheduler = begin()
        optimizer.load_state_dict(saved[0])
        scheduler.load_state_dict(saved[1])
        assert go(optimizer, scheduler, 10 - broken_at) == whole[broken_at:]


def test_an_unknown_schedule_is_refused() -> None:
    optimizer = build_optimizer([{"params": network().parameters()}], name="sgd", lr=0.1)
    with pytest.raises(ConfigError, match="got 'plateau'"):
        build_scheduler(optimizer, name="plateau", total_steps=10)
