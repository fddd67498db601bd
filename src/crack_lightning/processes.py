"""How our processes end: with the one they work for, when SIGTERM asks, and in which words it is told.

Two things end a process with the one it works for, and each does what the other cannot.

*The kernel*, on Linux alone: when the one that *forked* a process ends, it gets SIGKILL, whatever it is
doing. For a job that one is the forkserver; so the forkserver asks for the same, and a sweep's end takes all.

*The pipe* that multiprocessing keeps to the one that *asked* for a process: it closes with that. A thread
waits for it, on every system, but comes to run only when Python does.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from crack_lightning.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_PR_SET_PDEATHSIG = 1
_OWNER = "CRACK_LIGHTNING_FORKSERVER_OF"


def die_with_parent() -> None:
    """End this process, which multiprocessing started, with the one that asked for it; first of all it does.

    On Linux a job ends with its forkserver, too, without which nobody could tell how it ended; there, the
    pipe is for a parent that ended before the kernel was asked.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None, "multiprocessing started this process"
    _be_killed_with_forking_process()
    threading.Thread(target=_wait_for_end, args=(parent.sentinel,), daemon=True).start()


def own_forkserver() -> None:
    """Let the forkserver that this process will start know whose it is, for :func:`die_with_owner`."""
    os.environ[_OWNER] = str(os.getpid())


def die_with_owner() -> None:
    """End this process, a sweep's forkserver, with its owner; at once where that has ended already.

    For the first module that a forkserver imports: by itself it leaves only when its imports are done and its
    children have ended. A process that imports it without an owner goes on.
    """
    owner = os.environ.get(_OWNER)
    if owner is not None:
        _be_killed_with_forking_process()
        if os.getppid() != int(owner):
            os._exit(1)


def _be_killed_with_forking_process() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # a libc without it
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_for_end(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


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


def end_in_words(exit_code: int | None) -> str:
    """Say how a process ended that could not say it itself; negative codes are signals.

    >>> end_in_words(-9)
    'ended by SIGKILL (from outside; often for want of memory)'
    """
    if exit_code is None or exit_code >= 0:
        return f"ended with exit code {exit_code}"
    hint = " (from outside; often for want of memory)" if -exit_code == signal.SIGKILL else ""
    return f"ended by {signal.Signals(-exit_code).name}{hint}"
