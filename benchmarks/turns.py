"""Measurements that take turns: a slow spell of the machine falls on everything that is compared."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
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


@dataclass(frozen=True)
class Ratio:
    """Rates of two things, turn by turn.

    Attributes:
        what: What was measured.
        over: What it is compared with.
        rates: Tiles (or whatever is counted) a second, in the order of the turns.
        over_rates: The other's, likewise.
    """

    what: str
    over: str
    rates: Sequence[float]
    over_rates: Sequence[float]

    @property
    def each(self) -> list[float]:
        """The ratio of each turn."""
        return [rate / other for rate, other in zip(self.rates, self.over_rates, strict=True)]

    @property
    def median(self) -> float:
        return statistics.median(self.each)

    @property
    def told(self) -> str:
        """The median ratio and the lowest and the highest one, as text."""
        return f"{self.median:.3f} ({min(self.each):.3f} to {max(self.each):.3f})"

    def as_row(self) -> str:
        rates = f"{statistics.median(self.rates):,.1f} | {statistics.median(self.over_rates):,.1f}"
        return f"| {self.what} | {self.over} | {rates} | {self.told} |"


HEADING = (
    "| what | over | per second | per second | median ratio (lowest to highest) |\n|---|---|---:|---:|---|"
)


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
    lines: Mapping[str, Sequence[str]], *, turns: int, environment: Mapping[str, str] | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Let processes measure in turn; all are started first, and one that waits computes nothing.

    Args:
        lines: Command lines by name. Each process writes ``{}`` when it is ready, and for each line that it
            reads then measures once and writes a line of JSON.
        turns: Measurements of each, after one that warms up.
        environment: Of all of them; this process's own by default.

    Returns:
        What each wrote, turn by turn.
    """
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(
                subprocess.Popen(
                    list(line),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=dict(environment or os.environ),
                )
            )
            for name, line in lines.items()
        }
        for process in running.values():
            stack.callback(process.kill)
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


def machine() -> dict[str, Any]:
    """Return the machine and the versions."""
    return {
        **describe_machine(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def write_results(name: str, record: Mapping[str, Any], text: str) -> None:
    """Write ``results/<name>.json`` and ``results/<name>.md``, and print the latter."""
    RESULTS.mkdir(exist_ok=True)
    write_text(RESULTS / f"{name}.json", json.dumps({"machine": machine(), **record}, indent=2) + "\n")
    about = "; ".join(f"{key} {value}" for key, value in machine().items())
    write_text(RESULTS / f"{name}.md", f"{text}\n\n{about}\n")
    print(text)
