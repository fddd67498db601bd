"""The errors that a user can cause; the command line turns each into one sentence and exit code 2."""

from __future__ import annotations

import difflib
import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class CrackLightningError(Exception):
    """A mistake that the user can mend; its text says what was expected, what was got and the next step."""


class ConfigError(CrackLightningError, ValueError):
    """A configuration that cannot run."""


class DataError(CrackLightningError):
    """Images, tables or archives that cannot be used as asked."""


class CheckpointError(CrackLightningError):
    """A checkpoint or a file of weights that cannot be used as asked."""

    @classmethod
    def missing(cls, path: object) -> CheckpointError:
        """Compose the error about a checkpoint that is not there."""
        return cls(f"checkpoint: there is no file '{path}'; give a run's checkpoints/best.ckpt, or builtin.")

    @classmethod
    def foreign(cls, path: object, told: str) -> CheckpointError:
        """Compose the error about a file that is no checkpoint of ours; ``told`` says what it is."""
        return cls(f"checkpoint: '{path}' {told}; give a run's checkpoints/best.ckpt, or builtin.")

    @classmethod
    def missing_weights(cls, path: object) -> CheckpointError:
        """Compose the error about a file of weights that is not there."""
        return cls(f"model.weights: a file is expected, got '{path}', which is none; check the path.")


class FailedJobsError(CrackLightningError):
    """A sweep of which some jobs failed; the others were run."""


class Pruned(BaseException):
    """A run that a search ended early; its text says when and why."""


class Interrupted(BaseException):
    """A request to stop that was granted; ``signal_number`` is what asked for it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number

    def __str__(self) -> str:
        return f"interrupted by signal {self.signal_number}"


def is_disk_full(error: BaseException | None) -> bool:
    """Say whether an error is that a disk, or somebody's share of it, has no room."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def nearest(word: str, choices: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the choice that is spelt most like ``word``, or ``None`` when none is as near as ``cutoff``."""
    close = difflib.get_close_matches(word, list(choices), n=1, cutoff=cutoff)
    return close[0] if close else None
