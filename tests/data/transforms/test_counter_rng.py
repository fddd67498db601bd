from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from crack_lightning.data.transforms.counter_rng import Draw, hash_key, pixel_noise, uniform


def splitmix(state: int) -> int:
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
    return state ^ (state >> 31)


@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (1, 7), (2**63 + 5, 1000), (-3, 2)])
def test_the_hash_is_that_of_python_integers(seed: int, epoch: int) -> None:
    golden, word = 0x9E3779B97F4A7C15, 2**64
    for index, draw in itertools.product((0, 1, 39_999, 2**40), (0, 5, 26)):
        key = splitmix((splitmix(seed * golden % word) + epoch * golden) % word)
        expected = splitmix((splitmix((key + index * golden) % word) + (draw + 1) * golden) % word)
        got = hash_key(seed, epoch, torch.tensor([index]), draw)
        assert got.item() % word == expected
        assert uniform(seed, epoch, torch.tensor([index]), draw).item() == (expected >> 40) / 2**24


def test_draws_are_uniform_and_independent_of_their_neighbours() -> None:
    index = torch.arange(20_000)
    streams = [
        uniform(0, 0, index, 3),
        uniform(0, 0, index, 4),
        uniform(0, 1, index, 3),
        uniform(1, 0, index, 3),
    ]
    for stream in streams:
        assert stream.dtype == torch.float32
        assert stream.min() >= 0
        assert stream.max() < 1
        counts = torch.histc(stream, bins=20, min=0, max=1)
        chi_square = ((counts - 1000) ** 2 / 1000).sum()
        assert chi_square < 43.8  # 99.9 % of chi-square with 19 degrees of freedom
        assert abs(np.corrcoef(stream[:-1], stream[1:])[0, 1]) < 4 / math.sqrt(len(index))
    correlations = np.corrcoef(torch.stack(streams)) - np.eye(len(streams))
    assert np.abs(correlations).max() < 4 / math.sqrt(len(index))


def test_draws_broadcast_over_draw_numbers() -> None:
    index = torch.tensor([3, 1, 4])
    together = uniform(5, 6, index, torch.arange(4).unsqueeze(1))
    assert torch.equal(together, torch.stack([uniform(5, 6, index, draw) for draw in range(4)]))


def test_no_two_decisions_share_a_draw_number() -> None:
    assert list(Draw) == list(range(len(Draw.__members__)))


def test_pixel_noise_is_nearly_standard_normal() -> None:
    noise = pixel_noise(hash_key(0, 0, torch.arange(4), Draw.NOISE), 40_000)
    normal = torch.erfinv(2 * torch.tensor([0.01, 0.1, 0.5, 0.9, 0.99]) - 1) * math.sqrt(2)
    for row in noise:
        assert abs(row.mean()) < 4 / math.sqrt(len(row))
        assert abs(row.std() - 1) < 0.02
        assert row.quantile(torch.tensor([0.01, 0.1, 0.5, 0.9, 0.99])) == pytest.approx(normal, abs=0.12)
        assert abs(np.corrcoef(row[:-1], row[1:])[0, 1]) < 4 / math.sqrt(len(row))
    assert np.abs(np.corrcoef(noise) - np.eye(4)).max() < 4 / math.sqrt(noise.shape[1])
