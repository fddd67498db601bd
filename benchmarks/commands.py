"""Commands as a user types them, each in a process of its own, and what they leave behind."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Done:
    """A command that has ended.

    Attributes:
        folder: The folder that it made.
        seconds: How long it took.
        cpu_s: Seconds of all cores, user and system, of it and its children.
        mib: Largest resident memory of a process of its tree.
    """

    folder: Path
    seconds: float
    cpu_s: float
    mib: float


class Commands:
    """Runs commands with a cache of their own, on the folder of real images.

    Args:
        data: The folder with ``metu`` and ``uav75``.
        scratch: For everything that is written.
    """

    def __init__(self, data: Path, scratch: Path) -> None:
        self.metu, self.uav75, self.scratch = data / "metu", data / "uav75", scratch
        self.environment = os.environ | {"CRACK_LIGHTNING_CACHE": str(scratch / "cache")}

    def run(self, row: str, command: str, *arguments: str) -> tuple[Path, float]:
        """Run a command; return its only new folder and the seconds it took."""
        done = self.measured(row, command, *arguments)
        return done.folder, done.seconds

    def metu_run(self, row: str, *arguments: str) -> tuple[Path, float]:
        """Train on the METU tiles."""
        return self.run(row, "train", *arguments, *self.on_metu)

    @property
    def on_metu(self) -> tuple[str, str]:
        return "data=metu", f"data.root={self.metu}"

    def measured(
        self, row: str, command: str, *arguments: str, environment: dict[str, str] | None = None
    ) -> Done:
        """Run a command and measure it."""
        outputs = self.scratch / row
        line = [sys.executable, "-m", f"crack_lightning.{command}", *arguments, f"outputs={outputs}"]
        began = time.perf_counter()
        process = subprocess.Popen([*line, "progress=false"], env=self.environment | (environment or {}))
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, line)
        return Done(
            folder=max(outputs.glob("*/*"), key=lambda folder: folder.stat().st_mtime),
            seconds=seconds,
            cpu_s=usage.ru_utime + usage.ru_stime,
            mib=usage.ru_maxrss / 1024,
        )


def seconds_of(line: str) -> float:
    """Return when a line was logged, seconds."""
    return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()


def report(folder: Path) -> dict[str, Any]:
    """Return a run's report."""
    contents: dict[str, Any] = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    return contents


def metrics(folder: Path) -> dict[str, Any]:
    """Return the test figures of a run."""
    contents = report(folder)
    return {**contents["metrics"], "auroc": contents["classes"]["crack"]["auroc"]}


def accuracy(folder: Path) -> float:
    """Return the test accuracy of a run."""
    return float(metrics(folder)["accuracy"])


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
