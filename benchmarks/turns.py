"""Measurements that take turns, so that a slow spell of the machine falls on everything that is compared."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from crack_lightning.runtime.files.run_folder import write_text
from crack_lightning.runtime.hardware import describe_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")
RESULTS = Path(__file__).parent / "results"
PACKAGES = ("crack-lightning", "torch", "pytorch-lightning", "timm", "opencv-python-headless", "numpy")
HEADING = "| what | over | per second | per second | median ratio (range) |\n|---|---|---:|---:|---|"


@dataclass(frozen=True)
class Ratio:
    """Rates of two things, turn by turn.

    Attributes:
        what: What was measured.
        over: What it is compared with.
        rates: Tiles, or whatever is counted, a second, in the order of the turns.
        over_rates: The other's, likewise.
    """

    what: str
    over: str
    rates: Sequence[float]
    over_rates: Sequence[float]

    @property
    def text(self) -> str:
        """The median ratio, with the lowest and the highest one."""
        each = [rate / other for rate, other in zip(self.rates, self.over_rates, strict=True)]
        return f"{statistics.median(each):.3f} ({min(each):.3f} to {max(each):.3f})"

    def as_row(self) -> str:
        rates = f"{statistics.median(self.rates):,.1f} | {statistics.median(self.over_rates):,.1f}"
        return f"| {self.what} | {self.over} | {rates} | {self.text} |"


def rate_of(work: Callable[[], object], amount: float) -> Callable[[], float]:
    """Return a function that does the work once and returns the amount per second."""

    def measured() -> float:
        began = time.perf_counter()
        work()
        return amount / (time.perf_counter() - began)

    return measured


def in_turns(work: Mapping[str, Callable[[], T]], *, turns: int) -> dict[str, list[T]]:
    """Do every work in turn, after a round that warms up; return what each gave, turn by turn."""
    given: dict[str, list[T]] = {name: [] for name in work}
    for turn in range(turns + 1):
        for name, measured in work.items():
            value = measured()
            if turn > 0:
                given[name].append(value)
    return given


def processes_in_turns(
    lines: Mapping[str, Sequence[str]], *, turns: int, environment: Mapping[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """Let processes measure in turn; all are started first, and one that waits computes nothing.

    Args:
        lines: Command lines by name. Each process writes ``{}`` when it is ready, and for each line that it
            reads then measures once and writes a line of JSON.
        turns: Measurements of each, after one that warms up.
        environment: Of all of them.

    Returns:
        What each wrote, turn by turn.
    """
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": dict(environment)}
    with ExitStack() as stack:
        running: dict[str, subprocess.Popen[str]] = {}
        for name, line in lines.items():
            running[name] = stack.enter_context(subprocess.Popen(list(line), **piped))  # type: ignore[call-overload]
            stack.callback(running[name].kill)
        for process in running.values():
            _answer(process)
        return in_turns({name: partial(_ask, process) for name, process in running.items()}, turns=turns)


def _ask(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return _answer(process)


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            answer: dict[str, Any] = json.loads(line)
            return answer
    raise RuntimeError(f"{process.args!r} ended with {process.wait()}")


def wait_for_turn(answer: Mapping[str, Any]) -> None:
    """Write an answer, and wait until it is this process's turn again; end when nobody asks any more."""
    print(json.dumps(answer), flush=True)
    if not sys.stdin.readline():
        sys.exit(0)


def write_results(name: str, text: str) -> None:
    """Write ``results/<name>.md`` with the machine and the versions, and print the text."""
    about = {
        **describe_machine(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }
    RESULTS.mkdir(exist_ok=True)
    machine = "; ".join(f"{key} {value}" for key, value in about.items())
    write_text(RESULTS / f"{name}.md", f"{text}\n\n{machine}\n")
    print(text, flush=True)
