"""A callback that reports validation figures to a sweep and ends a pruned run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_lightning import Callback

from crack_lightning.runtime.errors import Pruned

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytorch_lightning import LightningModule, Trainer


class Pruning(Callback):
    """Reports the validation figures after each epoch, and ends the run if it is pruned.

    Args:
        report: Takes the share of epochs done and the figures by name; returns whether to prune the run.
    """

    def __init__(self, report: Callable[[float, dict[str, float]], bool]) -> None:
        self.report = report

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report this epoch's figures; a run in its last epoch is not pruned.

        Raises:
            Pruned: If the run is pruned.
        """
        figures = {
            name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")
        }
        done, epochs = trainer.current_epoch + 1, trainer.max_epochs or 1
        last = done == epochs or trainer.should_stop
        if self.report(done / epochs, figures) and not last:
            raise Pruned(f"after epoch {done} of {epochs}, as other jobs were better at that point")
