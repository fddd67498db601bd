"""The best and the last checkpoint, and the history of epochs; a resumed run equals an uninterrupted one."""

from __future__ import annotations

import logging
import re
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from crack_lightning.model.weights.checkpoints import (
    BEST,
    LAST,
    read_checkpoint,
    save_model,
    write_checkpoint,
)
from crack_lightning.runtime.errors import CheckpointError, Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytorch_lightning import LightningModule, Trainer

    from crack_lightning.model.classifier import CrackClassifier
    from crack_lightning.training.stop_signals import StopRequest

log = logging.getLogger(__name__)


@contextmanager
def saved_model(path: Path, classifier: CrackClassifier) -> Iterator[Path]:
    """Store a classifier in a file during the block; a resumed run removes a killed run's file."""
    save_model(classifier, path)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


_PATH = re.compile(r"[~/\\]|[A-Za-z]:|.*[.][.][/\\]")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically, and reads them without executing code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint as :func:`~crack_lightning.model.weights.checkpoints.write_checkpoint` does."""
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a checkpoint of plain values and tensors."""
        checkpoint = read_checkpoint(Path(path))
        _require_own_paths(checkpoint.get("callbacks"), Path(path))
        return checkpoint


def _require_own_paths(states: object, path: Path) -> None:
    """Refuse states of callbacks with paths outside the run's folder, which Lightning would delete.

    Raises:
        CheckpointError: With the first such path.
    """
    run = path.absolute().parents[1].resolve()
    pending = [states]
    while pending:
        match pending.pop():
            case dict() as values:
                pending += [*values.keys(), *values.values()]
            case list() | tuple() as values:
                pending += values
            case str() as text if "://" in text or (
                _PATH.match(text) and not (run / text).resolve().is_relative_to(run)
            ):
                raise CheckpointError(
                    f"checkpoint: paths of callbacks in '{path}' are expected within its run, got "
                    f"{text[:200]!r}; leave out the callback that stores them, or start a new run."
                )


class RunCheckpoints(Checkpoint):
    """Writes ``best.ckpt`` (weights) and ``last.ckpt`` (everything), and collects the history of epochs.

    ``last.ckpt`` is written after a step (never the last of an epoch) and after an epoch: at both points
    every counter, metric and state of the run is consistent.

    Attributes:
        history: One dict per epoch: ``epoch``, from 1, and every logged metric.
    """

    def __init__(self, folder: Path, *, monitor: str, every_s: float, requests: StopRequest) -> None:
        self.best_path, self.last_path = folder / BEST, folder / LAST
        self.monitor, self.sign = monitor, -1.0 if monitor.endswith("loss") else 1.0
        self.every_s = every_s
        self.requests = requests
        self.history: list[dict[str, float]] = []
        self.best_score: float | None = None
        self.stopped = self.began = False
        self._saved_at = self._epoch_began = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed run needs."""
        return {"history": self.history, "best_score": self.best_score, "stopped": self.stopped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state of an earlier run."""
        self.history = [dict(row) for row in state_dict["history"]]
        self.best_score, self.stopped = state_dict["best_score"], state_dict["stopped"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore an early stop, and defer stop requests to the end of a step."""
        self.began = True
        trainer.should_stop = trainer.should_stop or self.stopped
        self._saved_at = self._epoch_began = time.monotonic()
        self.requests.deferred = True
        self.requests.listen()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop deferring stop requests."""
        self.requests.deferred = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write ``last.ckpt`` after ``every_s`` seconds, or on a stop request."""
        if trainer.is_last_batch:
            return
        due = self.requests.received is not None or time.monotonic() - self._saved_at >= self.every_s
        if _for_any(trainer, due):  # all processes save, or none
            self._save_last(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Append the epoch's metrics to the history; write ``best.ckpt`` if they are the best."""
        figures = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith(("train/", "val/")) and not name.endswith("_step")
        }
        number = trainer.current_epoch + 1
        self.history.append({"epoch": number, **figures})
        score = self.sign * figures[self.monitor]
        if self.best_score is None or score > self.best_score:
            self.best_score = score
            trainer.save_checkpoint(self.best_path)
        self.stopped = bool(trainer.should_stop)
        shown = ", ".join(
            f"{name} {figures[name]:.4f}" for name in ("train/loss", "val/loss", "val/accuracy")
        )
        seconds = time.monotonic() - self._epoch_began
        log.info("epoch %d of %d: %s (%.0f s)", number, trainer.max_epochs, shown, seconds)
        self._epoch_began = time.monotonic()
        self._save_last(trainer)

    def _save_last(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.last_path)
        self._saved_at = time.monotonic()
        if _for_any(trainer, self.requests.received is not None):  # another host's signal stops this one too
            raise Interrupted(self.requests.received or signal.SIGTERM)


def _for_any(trainer: Trainer, holds: bool) -> bool:  # noqa: FBT001
    """Return whether a condition holds for any process of a training."""
    return trainer.strategy.reduce_boolean_decision(holds, all=False)
