"""Processes that do not outlive the one they work for."""

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
_SERVED = "CRACK_LIGHTNING_SWEEP"


def serve_me() -> None:
    """Let the forkserver that this process will start know whose it is; see :func:`die_with_served`."""
    os.environ[_SERVED] = str(os.getpid())


def die_with_served() -> None:
    """End this process at once with its parent, if it is the forkserver of that.

    By itself a forkserver hears of the sweep's end only after what it imports, and then takes a second to
    leave. Any other process that imports the same modules goes on.
    """
    if os.environ.get(_SERVED) == str(os.getppid()):
        die_with_parent()


def die_with_parent() -> None:
    """Let Linux end this process at once when its parent ends, however that ends; elsewhere do nothing.

    A job's parent is the forkserver, without which the sweep could not tell how the job ended.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # a libc without it
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def die_with_sweep() -> None:
    """End this process when the sweep's ends, however it ends.

    The pipe to the sweep closes with it. On Linux the kernel answers that with SIGKILL, whatever this process
    is doing; elsewhere a thread waits for it, as long as Python comes to run.
    """
    sweep = multiprocessing.parent_process()
    assert sweep is not None, "a job is started by a sweep"
    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(sweep.sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(sweep.sentinel, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(sweep.sentinel, fcntl.F_SETFL, fcntl.fcntl(sweep.sentinel, fcntl.F_GETFL) | os.O_ASYNC)
    threading.Thread(target=_wait_for_end, args=(sweep.sentinel,), daemon=True).start()


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
