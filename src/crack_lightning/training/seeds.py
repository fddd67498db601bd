"""Seeding of each training step, so that no generator state needs saving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pytorch_lightning import Callback

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer


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
