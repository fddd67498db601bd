"""Measurements in turns, so that varying speed of the machine affects all alternatives alike."""

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

from crack_lightning.runtime.files.atomic_write import write_text
from crack_lightning.runtime.hardware import describe_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")
RESULTS = Path(__file__).parent / "results"
PACKAGES = ("crack-lightning", "torch", "pytorch-lightning", "timm", "opencv-python-headless", "numpy")
HEADING = "| what | over | per second | per second | median ratio (range) |\n|---|---|---:|---:|---|"


@dataclass(frozen=True)
class Ratio:
    """Rates of two alternatives, by turn.

    Attributes:
        what: What was measured.
        over: The alternative that it is compared with.
        rates: Amounts, such as tiles, per second by turn.
        over_rates: Those of the alternative.
    """

    what: str
    over: str
    rates: Sequence[float]
    over_rates: Sequence[float]

    @property
    def text(self) -> str:
        """Median, lowest and highest ratio."""
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
    """Call all functions in turns, after a warm-up turn; return their results by turn."""
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
    """Let processes measure in turns; all are started first and idle while they wait.

    Args:
        lines: Command lines by name. Each process writes ``{}`` when it is ready. For each line of input it
            measures once and writes a line of JSON.
        turns: Measurements of each, after a warm-up.
        environment: Environment variables of the processes.

    Returns:
        The JSON of each process by turn.
    """
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": dict(environment)}
    with ExitStack() as stack:
        running: dict[str, subprocess.Popen[str]] = {}
        for name, line in lines.items():
            running[name] = stack.enter_context(subprocess.Popen(list(line), **piped))  # type: ignore[call-overload]
            stack.callback(running[name].kill)
        for process in running.values():
            _read_measurement(process)
        return in_turns({name: partial(_measure, process) for name, process in running.items()}, turns=turns)


def _measure(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return _read_measurement(process)


def _read_measurement(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            measurement: dict[str, Any] = json.loads(line)
            return measurement
    raise RuntimeError(f"{process.args!r} ended with {process.wait()}")


def wait_for_turn(measurement: Mapping[str, Any]) -> None:
    """Write a measurement, and wait for the next turn; exit when the input ends."""
    print(json.dumps(measurement), flush=True)
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
