"""What a job costs beside its work: a process of its own, against plain Hydra's own process."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

from sweeps import events

IN_PROCESS = """
import time, hydra
times = []
@hydra.main(config_path=None, version_base="1.3")
def task(config): times.append(time.perf_counter())
task()
print(times[-1] - times[0])
"""


def overhead(scratch: Path, environment: dict[str, str], *, number: int = 20) -> str:
    """Time jobs that do nothing: a sweep's, in processes of their own, and those of Hydra's own process."""
    _, alone_s = _trivial_sweep(1, scratch, environment)
    starts, all_s = _trivial_sweep(number + 1, scratch, environment)
    each = [after - before for before, after in pairwise(starts)]
    return (
        f"{median(each):.3f} s from a job's start to the next one's; {(all_s - alone_s) / number:.3f} s with "
        "its configuration composed and checked before; plain Hydra in one process, with nothing to compose, "
        f"{_plain_hydra(number, scratch):.3f} s"
    )


def _trivial_sweep(jobs: int, scratch: Path, environment: dict[str, str]) -> tuple[list[float], float]:
    """Run a sweep as a user would; return when its jobs started and the seconds that it took in all.

    Not in this process: a job imports what its sweep was started as, and these benchmarks import much.
    """
    script, out = Path(__file__).with_name("trivial.py"), scratch / f"g{jobs}"
    line = [sys.executable, str(script), "-m", f"seed=range({jobs})", f"outputs={out}"]
    began = time.perf_counter()
    subprocess.run(line, env=environment, check=True)
    seconds = time.perf_counter() - began
    [folder] = out.glob("multirun/*/*")
    return [float(event["at"]) for event in events(folder) if event.get("state") == "running"], seconds


def _plain_hydra(number: int, scratch: Path) -> float:
    """Return the seconds of a job that does nothing in Hydra's own process."""
    script = scratch / "plain.py"
    script.write_text(IN_PROCESS, encoding="utf-8")
    values = ",".join(map(str, range(number + 1)))
    line = [sys.executable, str(script), "-m", f"+a={values}", f"hydra.sweep.dir={scratch / 'plain'}"]
    told = subprocess.run(line, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    return float(told) / number
