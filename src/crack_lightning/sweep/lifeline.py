"""Processes that do not outlive the one they work for."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING

from crack_lightning.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_PR_SET_PDEATHSIG = 1
_SERVED = "CRACK_LIGHTNING_SWEEP"


def serve_me() -> None:
    """Let the forkserver that this process will start know whose it is; see :func:`killed_with_served`."""
    os.environ[_SERVED] = str(os.getpid())


def killed_with_served() -> None:
    """End this process at once with its parent, if it is the forkserver of that.

    By itself a forkserver hears of the sweep's end only after what it imports, and then takes a second to
    leave. Any other process that imports the same modules goes on.
    """
    if os.environ.get(_SERVED) == str(os.getppid()):
        killed_with_parent()


def killed_with_parent() -> None:
    """Let Linux end this process at once when its parent ends, however that ends; elsewhere do nothing.

    A job's parent is the forkserver, without which the sweep could not tell how the job ended.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # a libc without it
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """Let SIGTERM be raised as :class:`Interrupted` while the block runs, so that what it began is ended."""

    def interrupt(number: int, _: FrameType | None) -> None:
        raise Interrupted(number)

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
