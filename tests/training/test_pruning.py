"""A run tells its validation figures, and ends when asked to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from crack_lightning.runtime.errors import Pruned
from crack_lightning.training.pruning import Pruning


def trainer_after(epoch: int, *, stops: bool = False) -> Any:
    metrics = {"val/loss": torch.tensor(0.5), "train/loss": torch.tensor(0.1)}
    return SimpleNamespace(callback_metrics=metrics, current_epoch=epoch - 1, max_epochs=9, should_stop=stops)


@pytest.mark.parametrize("ends", [False, True])
def test_validation_figures_are_told_and_the_answer_is_heeded(ends: bool) -> None:  # noqa: FBT001
    told: list[tuple[float, dict[str, float]]] = []

    def report(done: float, figures: dict[str, float]) -> bool:
        told.append((done, figures))
        return ends

    if ends:
        with pytest.raises(Pruned, match="after epoch 3 of 9"):
            Pruning(report).on_train_epoch_end(trainer_after(3), cast("Any", None))
    else:
        Pruning(report).on_train_epoch_end(trainer_after(3), cast("Any", None))
    assert told == [(3 / 9, {"val/loss": 0.5})]


@pytest.mark.parametrize("trainer", [trainer_after(9), trainer_after(3, stops=True)])
def test_a_run_whose_epochs_are_all_done_is_not_pruned(trainer: Any) -> None:
    told: list[float] = []

    def report(done: float, _: dict[str, float]) -> bool:
        told.append(done)
        return True

    Pruning(report).on_train_epoch_end(trainer, cast("Any", None))
    assert told == [(trainer.current_epoch + 1) / 9]
