"""Errors that a user can cause; the command line prints each as one sentence and exits with code 2."""

from __future__ import annotations

import difflib
import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class CrackLightningError(Exception):
    """An error that the user can fix; its text has what was expected, what was got and the next step."""


class ConfigError(CrackLightningError, ValueError):
    """An invalid configuration."""


class DataError(CrackLightningError):
    """Images, tables or archives that cannot be used."""


class CheckpointError(CrackLightningError):
    """A checkpoint or a file of weights that cannot be used."""

    @classmethod
    def missing(cls, path: object) -> CheckpointError:
        """Return the error for a checkpoint that does not exist."""
        return cls(f"checkpoint: there is no file '{path}'; give a run's checkpoints/best.ckpt, or builtin.")

    @classmethod
    def unsupported(cls, path: object, description: str) -> CheckpointError:
        """Return the error for a file of another kind; ``description`` is the predicate of its sentence."""
        return cls(f"checkpoint: '{path}' {description}; give a run's checkpoints/best.ckpt, or builtin.")

    @classmethod
    def missing_weights(cls, path: object) -> CheckpointError:
        """Return the error for a file of weights that does not exist."""
        return cls(f"model.weights: a file is expected, got '{path}', which is none; check the path.")


class FailedJobsError(CrackLightningError):
    """A sweep with failed jobs; the others were run."""


class Pruned(BaseException):
    """Early end of a run by a search's pruner; its text has the epoch and the reason."""


class Interrupted(BaseException):
    """Stop of a run by a signal, ``signal_number``."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number

    def __str__(self) -> str:
        return f"interrupted by signal {self.signal_number}"


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether the error's cause is a full disk or an exhausted disk quota."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def nearest(word: str, choices: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the choice with the most similar spelling, or ``None`` if no similarity reaches ``cutoff``."""
    close = difflib.get_close_matches(word, list(choices), n=1, cutoff=cutoff)
    return close[0] if close else None
