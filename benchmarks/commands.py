"""Time and memory of commands, each in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Done:
    """A finished command.

    Attributes:
        folder: Its output folder.
        seconds: Wall-clock time.
        mib: Peak resident memory of a process of its tree.
    """

    folder: Path
    seconds: float
    mib: float

    @property
    def report(self) -> dict[str, Any]:
        """The run's report."""
        contents: dict[str, Any] = json.loads((self.folder / "report" / "report.json").read_text("utf-8"))
        return contents


class Commands:
    """Runs commands with a separate cache.

    Args:
        data: The folder with ``metu`` and ``uav75``.
        scratch: Folder of the cache and of all outputs.
    """

    def __init__(self, data: Path, scratch: Path) -> None:
        self.metu, self.uav75 = data / "metu", data / "uav75"
        self.scratch, self.cache = scratch, scratch / "cache"
        self.on_metu = ("data=metu", f"data.root={self.metu}")

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the commands."""
        return os.environ | {"CRACK_LIGHTNING_CACHE": str(self.cache)}

    def run(self, command: str, *arguments: str) -> Done:
        """Run a command and measure it."""
        outputs = self.scratch / "outputs"
        line = [sys.executable, "-m", f"crack_lightning.{command}", *arguments, f"outputs={outputs}"]
        began = time.perf_counter()
        process = subprocess.Popen([*line, "progress=false"], env=self.environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, line)
        made = [path.parent for path in outputs.rglob("config.yaml") if ".hydra" not in path.parts]
        newest = max(made, key=lambda folder: folder.stat().st_mtime, default=outputs)
        return Done(folder=newest, seconds=seconds, mib=usage.ru_maxrss / 1024)


def median_of(runs: Sequence[Done]) -> str:
    """Return the median time and the peak memory of runs of one command as text."""
    return f"{median(run.seconds for run in runs):.1f} s, {max(run.mib for run in runs):,.0f} MiB"
