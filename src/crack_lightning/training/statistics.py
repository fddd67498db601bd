"""Statistics of normalisation where several processes train."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_lightning import Callback
from torch import distributed

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer


class SameStatistics(Callback):
    """Gives every process the first one's statistics (BatchNorm) before they validate what it will save.

    While they train, each has taken those of its own last share of a batch.
    """

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Copy all buffers."""
        for buffer in pl_module.buffers():
            distributed.broadcast(buffer, src=0)
