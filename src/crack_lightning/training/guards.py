"""What ends a run before it wastes time: a loss that is not finite, a request to stop."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Protocol

import torch
from pytorch_lightning import Callback

from crack_lightning.errors import CrackLightningError, Interrupted

if TYPE_CHECKING:
    from types import FrameType
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray
    from pytorch_lightning import LightningModule, Trainer


class FiniteLoss(Callback):
    """Ends a run whose loss is no number, naming step, tiles and likely cause."""

    def __init__(self, names: NDArray[np.str_]) -> None:
        self.names = names

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Check the loss before it moves a weight."""
        loss, index = pl_module.last_loss, pl_module.last_index
        assert isinstance(loss, torch.Tensor)
        assert isinstance(index, torch.Tensor)
        if torch.isfinite(loss):
            return
        tiles = self.names[index.cpu().numpy()].tolist()
        rate = optimizer.param_groups[-1]["lr"]
        raise CrackLightningError(
            f"training: the loss is {loss.item()} at step {trainer.global_step} "
            f"(epoch {trainer.current_epoch + 1}); the learning rate was {rate:.2g}, and too high a rate is "
            "the usual cause: lower optimizer.lr, or set recipe.gradient_clip=1 or trainer.precision=32. "
            f"Tiles of the batch: {', '.join(tiles)}."
        )


class Requests(Protocol):
    """Whether a run is asked to stop."""

    deferred: bool

    @property
    def received(self) -> int | None:
        """The signal's number, or ``None``."""

    def listen(self) -> None:
        """Take the signals from whom Lightning gave them to."""


class StopRequests:
    """Turns SIGINT and SIGTERM into :class:`Interrupted`: after the running step where training asks to wait.

    Attributes:
        received: The signal's number, or ``None``.
        deferred: Whether a first signal waits for the end of a step; a second never waits.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.deferred = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self.listen()
        return self

    def listen(self) -> None:
        """Take the signals, also back from Lightning, whose own answer to SIGTERM is exit code 0."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous.setdefault(number, signal.getsignal(number))
                signal.signal(number, self._receive)

    def __exit__(self, *exception: object) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if not self.deferred or self.received is not None:
            raise Interrupted(number)
        self.received = number
