"""Heads and scores are float32 where a backbone computes in bf16, and metrics are counted late alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from crack_lightning.model import split_metrics
from crack_lightning.model.backends.inference_modules import InferenceNetwork, LogitNetwork
from crack_lightning.model.heads.local import LocalNetwork
from crack_lightning.model.split_metrics import SplitMetrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from crack_lightning.model.classifier import CrackClassifier

    Build = Callable[..., CrackClassifier]


def images() -> torch.Tensor:
    return torch.randint(256, (8, 3, 64, 64), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


@pytest.mark.parametrize("head", ["pooled", "local"])
@torch.inference_mode()
def test_scores_are_float32_under_autocast_and_what_they_were_without(
    build_classifier: Build, head: str
) -> None:
    classifier = build_classifier(name="resnet10t", head=head, image_size=64).eval()
    if isinstance(classifier.backbone, LocalNetwork):
        torch.nn.init.normal_(classifier.backbone.head.cell.weight)
    exact = classifier(images())
    plain = classifier.backbone(classifier._normalised(images()))
    assert torch.equal(exact, plain)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = classifier(images())
        of_engine = LogitNetwork(classifier)(images())
    assert rough.dtype == of_engine.dtype == torch.float32
    torch.testing.assert_close(rough, exact, atol=0.1, rtol=0.1)
    assert not torch.equal(rough, rough.bfloat16().float()), "rounded to bf16"
    assert not torch.equal(rough, exact), "the backbone is in bf16"


@torch.inference_mode()
def test_cells_and_features_are_float32_under_autocast(build_classifier: Build) -> None:
    local = build_classifier(name="resnet10t", head="local", image_size=64).eval()
    pooled = build_classifier(name="resnet10t", image_size=64).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert isinstance(local.backbone, LocalNetwork)
        assert local.backbone.cells(local._normalised(images())).dtype == torch.float32
        answers = InferenceNetwork(pooled)(images())
    assert answers.dtype == torch.float32
    assert not torch.equal(answers, answers.bfloat16().float())


def test_batches_that_are_counted_together_give_the_same_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    batches = [
        (torch.randn(7, 2, generator=generator), torch.randint(2, (7,), generator=generator))
        for _ in range(9)
    ]
    found = []
    for held in (1, 4, 100):
        monkeypatch.setattr(split_metrics, "_batches_per_update", lambda _logits, held=held: held)
        figures = SplitMetrics("val", class_names=["intact", "crack"], positive_class="crack")
        for logits, targets in batches:
            figures.update(logits, targets, loss=logits.square().mean())
        counts = figures.counts()
        assert sum(int(value.sum()) for value in counts["accuracy"].values()) == 63
        found.append(figures.compute())
        figures.update(*batches[0], loss=torch.tensor(1.0))
        figures.reset()
        figures.update(*batches[1], loss=torch.tensor(2.0))
        assert figures.compute()["val/loss"] == 2.0
    assert found[0] == found[1] == found[2]
    expected = torch.cat([logits.argmax(1) == targets for logits, targets in batches]).float().mean()
    assert found[0]["val/accuracy"] == expected
