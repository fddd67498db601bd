"""Run folders: creation, locks and logs."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from crack_lightning.runtime.console import printable
from crack_lightning.runtime.errors import ConfigError, CrackLightningError, is_disk_full

if TYPE_CHECKING:
    from collections.abc import Iterator
    from logging import LogRecord
    from pathlib import Path

LOCK, LEASE = ".lock", ".lease"
"""Names of the files that mark a writer of a folder: any process, and a submitted job."""
OUTCOME = "outcome.json"
"""Name of the file with state and reason of a sweep's job that has ended."""
SESSION = ".hparams"
"""Suffix of the event files for TensorBoard's HPARAMS tab: start and end of a run's session."""


def ensure_folder(folder: Path | None, *, base: Path, name: str) -> Path:
    """Return a run's folder: the given one, created if it does not exist, or a new one under ``base``.

    Raises:
        CrackLightningError: If the folder cannot be created.
    """
    if folder is None:
        return create_run_folder(base, name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CrackLightningError(
            f"hydra: cannot create '{folder}' ({error.strerror}); set hydra.run.dir or hydra.sweep.dir to "
            "another folder, or leave it out."
        ) from error
    return folder


def create_run_folder(base: Path, name: str, *, now: datetime | None = None) -> Path:
    """Create ``base/<date>/<time>_<name>`` exclusively; without a name, ``base/<date>/<time>``.

    Args:
        base: Folder of all runs, for example ``outputs``.
        name: Name of the run, for example ``mobilenetv2_synthetic``.
        now: Local time in the folder's name; the present by default.

    Returns:
        The new, empty folder; ``_2``, ``_3``, … is appended if the name exists.

    Raises:
        CrackLightningError: If the folder cannot be created.
    """
    now = now or datetime.now().astimezone()
    day = base / now.strftime("%Y-%m-%d")
    stem = "_".join(filter(None, [now.strftime("%H-%M-%S"), name]))
    attempt = 1
    while True:
        folder = day / (stem if attempt == 1 else f"{stem}_{attempt}")
        try:
            day.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            if not day.is_dir():
                raise CrackLightningError(f"outputs: '{day}' is a file; set outputs=<folder>.") from None
            attempt += 1
        except OSError as error:
            raise CrackLightningError(
                f"outputs: cannot create '{folder}' ({error.strerror}); set outputs=<another folder>."
            ) from error
        else:
            return folder


@contextmanager
def lock_folder(folder: Path, *, patience_s: float = 0) -> Iterator[None]:
    """Hold the lock of a run's folder, and remove temporary files of killed writers.

    Args:
        folder: The run's folder.
        patience_s: Seconds to wait for another writer.

    Raises:
        ConfigError: If another process writes there now.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=patience_s)
    except Timeout:
        raise ConfigError(
            f"resume: '{folder}' is being written by another process; wait for it or stop it first."
        ) from None
    try:
        _clear(folder)
        yield
    finally:
        lock.release()


def _clear(folder: Path) -> None:
    """Remove temporary files of killed writers, except in folders of writers that may be alive.

    A folder with a lock is cleared under that lock. A folder with a lease belongs to a submitted job, which
    may outlive its sweep; it is cleared when the job is run again.
    """
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            if (path / LEASE).exists():
                continue
            if (path / LOCK).exists():
                with suppress(ConfigError), lock_folder(path):
                    pass
            else:
                _clear(path)
        elif path.name.startswith(".") and path.suffix == ".part":
            path.unlink(missing_ok=True)


class _RunLog(logging.FileHandler):
    """Prints no traceback if the log cannot be written to a full disk: the run raises that error itself."""

    def handleError(self, record: LogRecord) -> None:  # noqa: N802  # logging's own name for it
        if not is_disk_full(sys.exc_info()[1]):
            super().handleError(record)


class _Printable(logging.Formatter):
    """Escapes control characters, such as those in the names of files."""

    def format(self, record: LogRecord) -> str:
        return printable(super().format(record))


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Write the package's log messages to a file and to the console."""
    package = logging.getLogger("crack_lightning")
    file = _RunLog(path, encoding="utf-8", errors="backslashreplace")
    console = logging.StreamHandler(sys.stdout)
    console.setFormatter(_Printable())
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    package.setLevel(logging.INFO)
    package.propagate = False
    for handler in (file, console):
        package.addHandler(handler)
    try:
        yield
    except Exception:
        file.handle(
            package.makeRecord(package.name, logging.ERROR, "", 0, "the run failed", (), sys.exc_info())
        )
        raise
    finally:
        for handler in (file, console):
            package.removeHandler(handler)
        file.close()
