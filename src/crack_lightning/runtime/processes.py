"""The end of child processes: with their parent, on SIGTERM, and a description of their exit codes.

A child exits with its parent by two mechanisms:

- *the kernel*, on Linux alone: it sends SIGKILL when the process that *forked* the child ends. A job is
  forked by the forkserver, which requests this too, so the end of a sweep ends both.
- *the pipe* that multiprocessing keeps to the process that *started* the child, which closes with that
  process. A thread waits for it, on every system, but runs only when Python does.
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

from crack_lightning.runtime.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_PR_SET_PDEATHSIG = 1
_OWNER = "CRACK_LIGHTNING_FORKSERVER_OF"


def exit_with_parent() -> None:
    """Make this child of multiprocessing exit with its parent; to be called first.

    On Linux a job exits with its forkserver too, because nothing else could collect its exit code. The pipe
    covers a parent that ended before the kernel's signal was requested.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None, "multiprocessing started this process"
    _be_killed_with_forking_process()
    threading.Thread(target=_wait_for_end, args=(parent.sentinel,), daemon=True).start()


def own_forkserver() -> None:
    """Name this process as the owner of the forkserver that it will start, for :func:`exit_with_owner`."""
    os.environ[_OWNER] = str(os.getpid())


def exit_with_owner() -> None:
    """Make this process, a sweep's forkserver, exit with its owner; at once if that has ended already.

    Call it in the first module that a forkserver imports: without it, a forkserver exits only after its
    imports and after the end of its children. A process without an owner is not affected.
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
def raise_on_sigterm() -> Iterator[None]:
    """Raise SIGTERM as :class:`Interrupted` while the block runs, so that it can clean up."""

    def interrupt(number: int, _: FrameType | None) -> None:
        raise Interrupted(number)

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def describe_exit(exit_code: int | None) -> str:
    """Describe an exit code; negative codes are signals.

    >>> describe_exit(-9)
    'ended by SIGKILL (from outside; often out of memory)'
    """
    if exit_code is None or exit_code >= 0:
        return f"ended with exit code {exit_code}"
    hint = " (from outside; often out of memory)" if -exit_code == signal.SIGKILL else ""
    return f"ended by {signal.Signals(-exit_code).name}{hint}"
