"""Processes end with the one they work for, and when they are asked to."""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crack_lightning.runtime.processes import exit_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable


def hold(told: Path) -> None:
    """Work where Python does not come to run, so that the kernel has to end it."""
    exit_with_parent()
    told.touch()
    ctypes.PyDLL(None).sleep(600)


def listen(told: Path) -> None:
    """Work without the kernel's help, so that the pipe has to tell."""
    sys.platform = "elsewhere"
    exit_with_parent()
    told.touch()
    time.sleep(600)


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(
            hold, marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux's kernel does")
        ),
        listen,
    ],
)
def test_a_process_dies_with_its_killed_parent(work: Callable[[Path], None], tmp_path: Path) -> None:
    told = tmp_path / "at work"
    parent = subprocess.Popen([sys.executable, __file__, work.__name__, str(told)], stdout=subprocess.PIPE)
    while not told.exists():
        assert parent.poll() is None
        time.sleep(0.02)
    parent.kill()
    parent.communicate()  # the child has its standard output, which closes when both have ended


@pytest.mark.parametrize(("owner", "code"), [("os.getppid()", 0), ("os.getpid()", 1)])
def test_a_forkserver_whose_owner_ended_before_it_began_ends(owner: str, code: int) -> None:
    begin = (
        "import os\n"
        "from crack_lightning.runtime import processes\n"
        f"os.environ[processes._OWNER] = str({owner})\n"
        "processes.exit_with_owner()\n"
    )
    assert subprocess.run([sys.executable, "-c", begin], check=False).returncode == code


def test_sigterm_is_raised_inside_the_block_alone() -> None:
    code = (
        "import signal\n"
        "from crack_lightning.runtime.processes import raise_on_sigterm\n"
        "try:\n"
        "    with raise_on_sigterm():\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "except BaseException as error:\n"
        "    print(error)\n"
        "print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, flush=True)\n"
        "signal.raise_signal(signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
    assert done.stdout == "interrupted by signal 15\nTrue\n"
    assert done.returncode == -signal.SIGTERM


if __name__ == "__main__":
    multiprocessing.get_context("spawn").Process(
        target=globals()[sys.argv[1]], args=(Path(sys.argv[2]),)
    ).start()
