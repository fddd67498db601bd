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

from crack_lightning.runtime.files.atomic_write import write_text
from crack_lightning.runtime.files.run_folder import LEASE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Self

PULSE = ".pulse"
PATIENCE_S = 120.0
"""Seconds without a heartbeat after which the other side counts as dead; NFS may hide one for 60."""
_BEATS, _CHECKS = 8, 60  # in PATIENCE_S


class Heartbeat:
    """The lease of a job's folder, valid while the process that holds it is alive.

    A later lease of the same folder ends the job of an earlier one, so that none runs twice.

    Args:
        folder: The job's folder, shared by both machines.
        on_silent: Called once when the job has begun and its heartbeat has stopped.
        patience_s: Seconds without a heartbeat after which the job counts as dead.
    """

    def __init__(
        self, folder: Path, *, on_silent: Callable[[], None], patience_s: float = PATIENCE_S
    ) -> None:
        self.token = uuid.uuid4().hex
        self._file, self._pulse = folder / LEASE, folder / f"{PULSE}_{self.token}"
        self._on_silent, self._patience_s = on_silent, patience_s
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
        liveness = _Liveness(self._pulse, checks=_BEATS)
        while not self._over.wait(self._patience_s / _BEATS):
            with contextlib.suppress(OSError):
                os.utime(self._file)
            if self.begun and liveness.ended():
                self._on_silent()
                return


@contextlib.contextmanager
def watch_heartbeat(folder: Path, token: str, *, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Stop this process by SIGTERM, then by force, once the lease of a token has ended.

    Args:
        folder: The job's folder.
        token: The token of the lease.
        patience_s: Seconds without a heartbeat of the holder, and seconds that stopping may take.
    """
    over, ending, pulse = threading.Event(), threading.Lock(), folder / f"{PULSE}_{token}"

    def watch() -> None:
        liveness, beaten = _Liveness(folder / LEASE, checks=_CHECKS), time.monotonic()
        while not over.wait(patience_s / _CHECKS):
            if _read(folder / LEASE) != token or liveness.ended():
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


class _Liveness:
    """Counts checks of an unchanged file, not seconds: clocks differ, and machines may suspend."""

    def __init__(self, path: Path, *, checks: int) -> None:
        self._path, self._checks = path, checks
        self._last_mtime, self._unchanged_checks = _mtime(path), 0

    def ended(self) -> bool:
        """Check once; return whether too many checks in a row found the file untouched."""
        mtime = _mtime(self._path)
        self._unchanged_checks = self._unchanged_checks + 1 if mtime == self._last_mtime else 0
        self._last_mtime = mtime
        return self._unchanged_checks >= self._checks


def _mtime(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None
