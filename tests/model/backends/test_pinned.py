"""Batches go to a GPU from pinned memory, and a step makes processes meet only where it is logged."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import torch

from crack_lightning.model.backends.engines.eager import EagerCompute

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from crack_lightning.model.classifier import CrackClassifier


class Answers(torch.nn.Module):
    """Zeros on the CPU, wherever the images are."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(images), 2)


def test_images_are_pinned_before_they_are_copied_to_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[int] = []

    def pin_memory(images: torch.Tensor) -> torch.Tensor:
        pinned.append(len(images))
        return images

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin_memory)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # knows no device of a test
    images = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    for device, copies in {"cpu": 0, "meta": 1}.items():
        assert EagerCompute(Answers(), device=device, dtype=None)(images).shape == (3, 2)
        assert pinned == [3] * copies


def test_a_loss_is_reduced_over_processes_only_in_steps_that_are_logged(
    build_classifier: Callable[..., CrackClassifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = build_classifier(image_size=32)
    logged: list[tuple[int, dict[str, Any]]] = []
    trainer = SimpleNamespace(log_every_n_steps=4, global_step=0)
    monkeypatch.setattr(classifier, "_trainer", trainer)
    monkeypatch.setattr(classifier, "log", lambda name, _, **how: logged.append((trainer.global_step, how)))
    batch: Any = {
        "image": torch.zeros(2, 3, 32, 32, dtype=torch.uint8),
        "target": torch.tensor([0, 1]),
        "index": torch.arange(2),
    }
    for step in range(9):
        trainer.global_step = step
        classifier.training_step(batch, step)
    assert [step for step, how in logged if how.get("sync_dist")] == [3, 7]
    assert cast("Any", classifier).last_loss.isfinite()
