"""Synchronisation of BatchNorm statistics across processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_lightning import Callback
from torch import distributed

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer


class BroadcastBuffers(Callback):
    """Broadcasts the buffers (BatchNorm statistics) of rank 0 before validation.

    In training, each process has updated them from its own share of a batch.
    """

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Broadcast all buffers."""
        for buffer in pl_module.buffers():
            distributed.broadcast(buffer, src=0)
