"""Heartbeats by files between a job on another machine and the process that waits for it."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import threading
import time
import uuid
from typing import TYPE_CHECKING

from crack_lightning.runtime.files.run_folder import LEASE, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Self

PULSE = ".pulse"
PATIENCE_S = 120.0
"""Seconds without a heartbeat after which the other side counts as dead; NFS may hide one for 60."""
_BEATS, _LOOKS = 8, 60  # in this time


class Heartbeat:
    """The lease of a job's folder, valid while the process that holds it is alive.

    A later lease of the same folder ends the job of an earlier one, so that none runs twice.

    Args:
        folder: The job's folder, shared by both machines.
        silent: Called once when the job has begun and its heartbeat has stopped.
        patience_s: Seconds without a heartbeat after which the job counts as dead.
    """

    def __init__(self, folder: Path, *, silent: Callable[[], None], patience_s: float = PATIENCE_S) -> None:
        self.token = uuid.uuid4().hex
        self._file, self._pulse = folder / LEASE, folder / f"{PULSE}_{self.token}"
        self._silent, self._patience_s = silent, patience_s
        self._over = threading.Event()

    def __enter__(self) -> Self:
        write_text(self._file, self.token)
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self.end()
        self._pulse.unlink(missing_ok=True)

    @property
    def begun(self) -> bool:
        """Whether the job has begun."""
        return self._pulse.exists()

    def end(self) -> None:
        """End the lease: the job stops after writing a checkpoint."""
        self._file.unlink(missing_ok=True)

    def _beat(self) -> None:
        life = _Life(self._pulse, looks=_BEATS)
        while not self._over.wait(self._patience_s / _BEATS):
            with contextlib.suppress(OSError):
                os.utime(self._file)
            if self.begun and life.ended():
                self._silent()
                return


@contextlib.contextmanager
def watch_heartbeat(folder: Path, token: str, *, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Stop this process by SIGTERM, then by force, once its lease has ended.

    Args:
        folder: The job's folder.
        token: The token of the lease.
        patience_s: Seconds without a heartbeat of the holder, and seconds that stopping may take.
    """
    over, ending, pulse = threading.Event(), threading.Lock(), folder / f"{PULSE}_{token}"

    def watch() -> None:
        life, beaten = _Life(folder / LEASE, looks=_LOOKS), time.monotonic()
        while not over.wait(patience_s / _LOOKS):
            if _read(folder / LEASE) != token or life.ended():
                with ending:  # not a job that is done, whose lease may end
                    if not over.is_set():
                        os.kill(os.getpid(), signal.SIGTERM)
                if not over.wait(patience_s):
                    os._exit(128 + signal.SIGTERM)
                return
            if time.monotonic() - beaten > patience_s / _BEATS:
                with contextlib.suppress(OSError):
                    os.utime(pulse)
                beaten = time.monotonic()

    write_text(pulse, f"process {os.getpid()} on {platform.node()}\n")
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        try:
            with ending:
                over.set()
        finally:  # where the signal came meanwhile
            over.set()


class _Life:
    """Counts checks of a file that is no longer touched: clocks differ, and a machine may be suspended."""

    def __init__(self, path: Path, *, looks: int) -> None:
        self._path, self._looks = path, looks
        self._seen, self._in_vain = _touched(path), 0

    def ended(self) -> bool:
        """Check once; return whether too many checks in a row found the file untouched."""
        seen = _touched(self._path)
        self._in_vain = self._in_vain + 1 if seen == self._seen else 0
        self._seen = seen
        return self._in_vain >= self._looks


def _touched(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None
