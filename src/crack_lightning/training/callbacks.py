"""Callbacks of a run: seeding, BatchNorm across processes, non-finite loss, pruning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from pytorch_lightning import Callback

from crack_lightning.runtime.errors import CrackLightningError, Pruned

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from pytorch_lightning import LightningModule, Trainer


_GPU_STEPS_PER_CHECK = 16


class StepSeeds(Callback):
    """Seeds torch in each step (dropout, drop path) from (seed, global step, rank)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed torch for this step."""
        sequence = np.random.SeedSequence([self.seed, trainer.global_step, trainer.global_rank])
        words = sequence.generate_state(1, np.uint64)
        torch.manual_seed(int(words[0] >> np.uint64(1)))


class BroadcastBuffers(Callback):
    """Broadcasts the buffers of rank 0 before validation: each rank has its own BatchNorm statistics."""

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Broadcast all buffers."""
        for buffer in pl_module.buffers():
            torch.distributed.broadcast(buffer, src=0)


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


class _Step(NamedTuple):
    """A step with a loss to check."""

    loss: torch.Tensor
    rows: torch.Tensor
    number: int
    epoch: int
    rate: float


class FiniteLoss(Callback):
    """Ends a run whose loss is not finite, with an error that names step, tiles and likely cause.

    On the CPU each loss is checked before the optimizer step. On a GPU a check synchronises with the device,
    so several losses are checked together; all pending ones are checked before a checkpoint is written.

    Args:
        names: Names of the tiles by row.
        every: Number of steps that are checked together; by default 1 on the CPU, 16 on a GPU.
    """

    def __init__(self, names: NDArray[np.str_], *, every: int | None = None) -> None:
        self.names, self.every = names, every
        self._steps: list[_Step] = []

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Record the loss; check the recorded losses every ``every`` steps."""
        loss, index = pl_module.last_loss, pl_module.last_index
        assert isinstance(loss, torch.Tensor)
        assert isinstance(index, torch.Tensor)
        rate = float(optimizer.param_groups[-1]["lr"])
        self._steps.append(_Step(loss, index, trainer.global_step, trainer.current_epoch + 1, rate))
        if len(self._steps) >= (self.every or (1 if loss.device.type == "cpu" else _GPU_STEPS_PER_CHECK)):
            self._check()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the remaining losses of the epoch."""
        self._check()

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Check the losses of all steps before the checkpoint is written."""
        self._check()

    def _check(self) -> None:
        steps, self._steps = self._steps, []
        if not steps:
            return
        finite = torch.isfinite(torch.stack([step.loss for step in steps])).tolist()
        if all(finite):
            return
        first = steps[finite.index(False)]
        tiles = self.names[first.rows.cpu().numpy()].tolist()
        raise CrackLightningError(
            f"training: the loss is {first.loss.item()} at step {first.number} "
            f"(epoch {first.epoch}); the learning rate was {first.rate:.2g}, and too high a rate is "
            "the usual cause: lower optimizer.lr, or set recipe.gradient_clip=1 or trainer.precision=32. "
            f"Tiles of the batch: {', '.join(tiles)}."
        )
