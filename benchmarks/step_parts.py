"""A callback that measures the parts of training steps."""

from __future__ import annotations

import time
from functools import wraps
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning import Callback

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS = ("wait", "augment", "forward", "backward", "rest")


class StepParts(Callback):
    """Measures waiting for a batch, augmentation, forward pass, backward pass, and the rest.

    The rest includes optimizer, schedule, logging, other callbacks and Lightning itself. On a GPU the device
    is synchronised after each part, unlike in normal training.

    Attributes:
        seconds: Seconds by part since ``start``.
    """

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Reset the seconds of all parts."""
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._mark = time.perf_counter()

    def _until_now(self, part: str) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.seconds[part] += now - self._mark
        self._mark = now

    def _counted(self, method: Callable[..., Any], part: str, *, before: str) -> Callable[..., Any]:
        @wraps(method)
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._until_now(before)
            try:
                return method(*args, **kwargs)
            finally:
                self._until_now(part)

        return counted

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        tiles = trainer.datamodule
        tiles.on_after_batch_transfer = self._counted(tiles.on_after_batch_transfer, "augment", before="wait")
        pl_module.training_step = self._counted(pl_module.training_step, "forward", before="rest")

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: torch.Tensor) -> None:
        self._until_now("rest")

    def on_after_backward(self, trainer: Any, pl_module: Any) -> None:
        self._until_now("backward")

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._until_now("rest")
