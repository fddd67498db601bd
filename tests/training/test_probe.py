"""What a linear probe asks of a device, and how it judges a sure error."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from crack_lightning.training import probe
from crack_lightning.training.probe import LinearProbe

if TYPE_CHECKING:
    from torch import nn


def bare_probe(device: str, **attributes: Any) -> Any:
    """A probe that has fitted and cached nothing, with a data set of blank tiles."""
    made = cast("Any", LinearProbe.__new__(LinearProbe))
    made.settings = SimpleNamespace(device=device, show_progress=False, cluster=None)
    made.tiles = SimpleNamespace(
        batch_size=32,
        dataset=SimpleNamespace(
            read=lambda rows, **_: {
                "image": torch.zeros(len(rows), 3, 8, 8, dtype=torch.uint8),
                "index": torch.tensor(rows),
            },
            __getitems__=lambda rows: {"image": torch.zeros(len(rows), 3, 8, 8, dtype=torch.uint8)},
        ),
        split_rows=lambda _: np.arange(10),
        view=lambda images, *_, **__: images,
    )
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def test_one_sure_error_costs_a_probe_what_it_costs_a_report() -> None:
    logits, labels = torch.tensor([[0.0, 200.0], [3.0, 1.0]]), torch.tensor([0, 0])
    loss, accuracy = probe.loss_and_accuracy(logits, labels)
    probability = torch.softmax(logits, dim=1).numpy()
    assert loss == pytest.approx(log_loss(labels.numpy(), probability, labels=[0, 1]), rel=1e-5)
    assert accuracy == 0.5


@pytest.mark.parametrize(("device", "expected"), [("cpu", [32] * 9 + [12]), ("cuda", [256, 44])])
def test_a_gpu_computes_features_of_at_least_256_tiles_at_once(device: str, expected: list[int]) -> None:
    computed: list[int] = []

    def compute(images: torch.Tensor) -> torch.Tensor:
        computed.append(len(images))
        return images.float().mean((2, 3))

    features = bare_probe(device, _compute=compute)._compute_features(np.arange(300), view=0)
    assert sum(len(part) for part in features) == 300
    assert sorted(computed, reverse=True) == expected


def test_a_comparison_with_eager_on_the_cpu_leaves_the_network_on_its_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved: list[nn.Module] = []

    def eager(network: nn.Module) -> Any:
        moved.append(network.to(torch.float64))  # as to another device, of which a test has none
        return lambda images: torch.zeros(len(images), 4)

    network = torch.nn.Linear(4, 4)
    monkeypatch.setattr(probe, "eager", eager)
    monkeypatch.setattr(probe, "linear_head", lambda _: torch.nn.Linear(4, 2))
    judged = bare_probe("cuda", network=network, engine=SimpleNamespace(name="eager"))
    judged.classifier = SimpleNamespace(backbone=None, hparams={"temperature": 1.0})
    judged._logits = lambda rows: torch.zeros(len(rows), 2)
    judged._features_of = lambda rows: torch.zeros(len(rows), 4)
    assert judged.largest_difference() >= 0
    assert network.weight.dtype == torch.float32
    assert moved[0] is not network
