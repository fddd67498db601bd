from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from crack_lightning.data.transforms.mixup import mix_batch

BATCH = 8


def batch() -> tuple[Tensor, Tensor]:
    """Constant tiles: tile ``i`` has the value ``i``, so that a pixel tells where it came from."""
    images = torch.arange(BATCH, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 20, 30).clone()
    return images, torch.arange(BATCH) % 3


def mixed(step: int = 0, seed: int = 0, **options: Any) -> tuple[Tensor, Tensor]:
    return mix_batch(*batch(), num_classes=3, seed=seed, step=step, **options)


@pytest.mark.parametrize("options", [{}, {"mixup_alpha": 0.4, "cutmix_alpha": 1.0, "probability": 0.0}])
def test_off_leaves_images_and_gives_whole_classes(options: dict[str, Any]) -> None:
    images, shares = mixed(**options)
    assert torch.equal(images, batch()[0])
    assert torch.equal(shares, torch.eye(3)[batch()[1]])


def test_mixup_blends_each_tile_and_its_class_by_one_share() -> None:
    for step in range(10):
        images, shares = mixed(step, mixup_alpha=0.8)
        values = images[:, 0, 0, 0]
        assert torch.equal(images, values.view(-1, 1, 1, 1).expand_as(images))
        for own in range(BATCH):
            fits = []
            for other in range(BATCH):
                kept = 1.0 if own == other else float((values[own] - other) / (own - other))
                expected = kept * torch.eye(3)[own % 3] + (1 - kept) * torch.eye(3)[other % 3]
                fits.append(torch.allclose(shares[own], expected, atol=1e-4))
            assert any(fits)
        assert torch.allclose(shares.sum(1), torch.ones(BATCH))


def test_cutmix_pastes_a_box_and_shares_the_class_by_its_area() -> None:
    pasted = 0
    for step in range(20):
        images, shares = mixed(step, cutmix_alpha=1.0)
        for own, (tile, share) in enumerate(zip(images, shares, strict=True)):
            foreign = tile[0] != own
            rows, columns = foreign.any(1).sum(), foreign.any(0).sum()
            assert foreign.sum() == rows * columns
            expected = torch.zeros(3)
            for value in tile[0].unique():
                expected[int(value) % 3] += (tile[0] == value).float().mean()
            assert torch.allclose(share, expected, atol=1e-5)
            pasted += int(foreign.any())
    assert pasted > 20


def test_a_mix_depends_on_seed_and_step_alone() -> None:
    options: dict[str, Any] = {"mixup_alpha": 0.4, "cutmix_alpha": 1.0}
    first = mixed(3, **options)
    torch.rand(5)
    assert all(torch.equal(*pair) for pair in zip(first, mixed(3, **options), strict=True))
    assert not torch.equal(first[0], mixed(4, **options)[0])
    assert not torch.equal(first[0], mixed(3, seed=1, **options)[0])


def test_no_global_generator_is_touched_nor_the_input() -> None:
    states = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())  # noqa: NPY002
    images, targets = batch()
    for step in range(4):
        mix_batch(images, targets, num_classes=3, mixup_alpha=1.0, cutmix_alpha=1.0, seed=-1, step=step)
    assert torch.equal(images, batch()[0])
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert repr(np.random.get_state()) == states[2]  # noqa: NPY002


def test_probability_is_the_share_of_batches_mixed_and_both_kinds_occur() -> None:
    kinds = []
    for step in range(200):
        images, shares = mixed(step, mixup_alpha=1.0, cutmix_alpha=1.0, probability=0.5)
        if torch.equal(images, batch()[0]):
            kinds.append("none")
        else:
            kinds.append("mixup" if (images != images.round()).any() else "cutmix")
        assert torch.allclose(shares.sum(1), torch.ones(BATCH))
    assert 0.35 < kinds.count("none") / 200 < 0.65
    assert 25 < kinds.count("mixup") < 75
    assert 25 < kinds.count("cutmix") < 75
