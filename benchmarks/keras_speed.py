"""Our whole job against the two Keras scripts' schedules, and the first one's in PyTorch, in turns.

TensorFlow lives in an environment of its own, which ``nox -s bench-keras`` makes; ``KERAS_PYTHON`` names its
Python.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from commands import report
from turns import write_results

from crack_lightning.runtime.errors import CrackLightningError

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands import Done

ROOT = Path(__file__).parents[1]
FRACTION, TURNS = 0.1, 3


def compare(job: Callable[[], Done], scratch: Path) -> str:
    """Let our job and the schedules run in turns, write ``results/keras.*``, and return the ratios."""
    ours: list[float] = []
    theirs: dict[str, list[dict[str, Any]]] = {"Keras first": [], "PyTorch first": [], "Keras second": []}
    for _ in range(TURNS):
        done = job()
        ours.append(done.seconds)
        root = Path(report(done.folder)["provenance"]["settings"]["data"]["root"])
        for name, schedules in theirs.items():
            schedules.append(_schedule(name, root=root, splits=done.folder / "splits.csv", scratch=scratch))
    ratios = {
        name: median(one["seconds"] / own for one, own in zip(schedules, ours, strict=True))
        for name, schedules in theirs.items()
    }
    lines = [
        f"{name}: {median(one['seconds'] for one in schedules):,.0f} s for {schedules[0]['epochs']} epochs, "
        f"extrapolated from {schedules[0]['steps']['train']} of {schedules[0]['of']['train']} training steps "
        f"and {schedules[0]['steps']['val']} of {schedules[0]['of']['val']} validating ones (version "
        f"{schedules[0]['version']}): {ratios[name]:.1f} times ours"
        for name, schedules in theirs.items()
    ]
    record = {"ours_s": ours, "schedules": theirs, "ratios": ratios}
    write_results("keras", record, "\n".join([f"Our whole job: {median(ours):.1f} s.", "", *lines]))
    return f"{median(ours):.1f} s; {'; '.join(lines)}"


def _schedule(name: str, *, root: Path, splits: Path, scratch: Path) -> dict[str, Any]:
    library, schedule = name.split()
    script = {"Keras": "keras_scripts.py", "PyTorch": "torch_script.py"}[library]
    python = sys.executable if library == "PyTorch" else _keras_python()
    line = [python, str(Path(__file__).with_name(script)), schedule, f"--root={root}", f"--splits={splits}"]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "", "KERAS_HOME": str(scratch / "keras")}
    told = subprocess.run(
        [*line, f"--fraction={FRACTION}"],
        check=True,
        env=os.environ | quiet,
        stdout=subprocess.PIPE,
        text=True,
    )
    answer: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return answer


def _keras_python() -> str:
    python = Path(os.environ.get("KERAS_PYTHON", ROOT / ".nox" / "bench-keras" / "bin" / "python"))
    if not python.exists():
        raise CrackLightningError(
            f"KERAS_PYTHON: expected a Python with TensorFlow, got '{python}', which is not there; "
            "run nox -s bench-keras, which makes it."
        )
    return str(python)
