"""A run that tells somebody how it does after each epoch, and ends when told that others do better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_lightning import Callback

from crack_lightning.errors import Pruned

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytorch_lightning import LightningModule, Trainer


class Pruning(Callback):
    """Reports the validation figures after each epoch, and ends the run when the answer is yes.

    Args:
        report: Takes the share of the epochs that is done and the figures by name; says whether to end.
    """

    def __init__(self, report: Callable[[float, dict[str, float]], bool]) -> None:
        self.report = report

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report this epoch's figures; a run that ends with this epoch anyway keeps what it has learnt.

        Raises:
            Pruned: If the run is to end.
        """
        figures = {
            name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")
        }
        done, epochs = trainer.current_epoch + 1, trainer.max_epochs or 1
        last = done == epochs or trainer.should_stop
        if self.report(done / epochs, figures) and not last:
            raise Pruned(f"after epoch {done} of {epochs}, others did better by then")
