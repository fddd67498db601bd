from __future__ import annotations

import os
import signal
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import torch

from crack_lightning.runtime.errors import CrackLightningError, Interrupted, Pruned
from crack_lightning.training.callbacks import FiniteLoss, Pruning
from crack_lightning.training.stop_signals import StopSignals

if TYPE_CHECKING:
    from collections.abc import Callable


def feed(guard: FiniteLoss, losses: list[float]) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.5)
    for number, loss in enumerate(losses):
        module = SimpleNamespace(last_loss=torch.tensor(loss), last_index=torch.tensor([number % 3, 0]))
        trainer = SimpleNamespace(global_step=number, current_epoch=3)
        guard.on_before_optimizer_step(trainer, module, optimizer)  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_step_tiles_and_cause(loss: float) -> None:
    guard = FiniteLoss(np.array(["a.jpg", "b.jpg", "c.jpg"]))
    with pytest.raises(
        CrackLightningError, match=rf"the loss is {loss} at step 2 \(epoch 4\).*0\.5.*c\.jpg, a\.jpg"
    ):
        feed(guard, [0.3, 0.2, loss])


@pytest.mark.parametrize("hook", ["on_save_checkpoint", "on_train_epoch_end"])
def test_losses_that_are_checked_together_end_the_run_before_a_checkpoint(hook: str) -> None:
    names = np.array(["a.jpg", "b.jpg", "c.jpg"])
    nan = float("nan")
    guard = FiniteLoss(names, every=4)
    feed(guard, [0.5, nan, nan])
    ends = getattr(guard, hook)
    with pytest.raises(CrackLightningError, match=r"the loss is nan at step 1 \(epoch 4\).*: b\.jpg"):
        ends(None, None, {}) if hook == "on_save_checkpoint" else ends(None, None)
    with pytest.raises(CrackLightningError, match=r"the loss is nan at step 2 .*: c\.jpg"):
        feed(FiniteLoss(names, every=4), [0.5, 0.4, nan, 0.3])
    whole = FiniteLoss(names, every=4)
    feed(whole, [0.5] * 9)
    assert len(whole._steps) == 1


def ask_to_stop() -> None:
    with StopSignals() as requests:
        with pytest.raises(Interrupted, match="signal 15"):
            os.kill(os.getpid(), signal.SIGTERM)
        requests.deferred = True
        os.kill(os.getpid(), signal.SIGTERM)
        assert requests.received == signal.SIGTERM
        with pytest.raises(Interrupted, match="signal 2"):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_stop_is_granted_at_once_unless_a_step_is_running(apart: Callable[..., None]) -> None:
    apart(ask_to_stop)


def test_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def trainer_after(epoch: int, *, stops: bool = False) -> Any:
    metrics = {"val/loss": torch.tensor(0.5), "train/loss": torch.tensor(0.1)}
    return SimpleNamespace(callback_metrics=metrics, current_epoch=epoch - 1, max_epochs=9, should_stop=stops)


@pytest.mark.parametrize(
    ("trainer", "prunes", "ends"),
    [
        (trainer_after(3), False, False),
        (trainer_after(3), True, True),
        (trainer_after(9), True, False),
        (trainer_after(3, stops=True), True, False),
    ],
)
def test_validation_figures_are_reported_and_a_pruned_run_ends_before_its_last_epoch(
    *, trainer: Any, prunes: bool, ends: bool
) -> None:
    reported: list[tuple[float, dict[str, float]]] = []

    def report(done: float, figures: dict[str, float]) -> bool:
        reported.append((done, figures))
        return prunes

    with pytest.raises(Pruned, match="after epoch 3 of 9") if ends else nullcontext():
        Pruning(report).on_train_epoch_end(trainer, cast("Any", None))
    assert reported == [((trainer.current_epoch + 1) / 9, {"val/loss": 0.5})]
