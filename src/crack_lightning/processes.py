"""Processes of ours: how they end with the one that started them, and how their end is told."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import wait


def die_with_parent() -> None:
    """End this process when the one that started it ends, however it ends.

    The pipe to that one closes with it. On Linux the kernel answers that with SIGKILL, whatever this process
    is doing; elsewhere a thread waits for it, as long as Python comes to run.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None, "multiprocessing started this process"
    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(parent.sentinel, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(parent.sentinel, fcntl.F_GETFL)
        fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)
    threading.Thread(target=_wait_for_end, args=(parent.sentinel,), daemon=True).start()


def _wait_for_end(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def end_in_words(exit_code: int | None) -> str:
    """Say how a process ended that could not say it itself; negative codes are signals.

    >>> end_in_words(-9)
    'ended by SIGKILL (from outside; often for want of memory)'
    """
    if exit_code is None or exit_code >= 0:
        return f"ended with exit code {exit_code}"
    hint = " (from outside; often for want of memory)" if -exit_code == signal.SIGKILL else ""
    return f"ended by {signal.Signals(-exit_code).name}{hint}"
