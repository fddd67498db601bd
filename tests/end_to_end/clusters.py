"""A sweep of six jobs on an engine of this machine's own, one of them ended from outside, then resumed.

``python tests/end_to_end/clusters.py slurm`` or ``ray``; nox has sessions of these names, which install them.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from one_node_slurm import free_port, one_node_slurm, stopped_at_the_end

from crack_lightning.runtime.hardware import available_cores
from crack_lightning.sweep.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

JOBS, VICTIM = 6, 2
TINY = (
    "trainer=smoke",
    "data.synthetic.num_tiles=120",
    "data.synthetic.tile_px=64",
    "data.batch_size=8",
    "model=plain_cnn",
    "model.image_size=48",
    "progress=false",
)


def on_slurm(scratch: Path) -> str:
    """Sweep on a SLURM of one node, and end a job by ``scancel``."""
    (scratch / "slurm").mkdir()
    with one_node_slurm(scratch / "slurm", cores=available_cores()) as variables:
        environment = os.environ | variables

        def cancel(folder: Path) -> None:
            [script] = (folder / "slurm").glob("*_submission.sh")
            line = ["scancel", script.name.partition("_")[0]]
            subprocess.run(line, env=environment, check=True)

        launcher = ["hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1"]
        return swept(scratch / "outputs", launcher, environment, end=cancel)


def on_ray(scratch: Path) -> str:
    """Sweep on a Ray of one node, and end a job by ``kill -9``."""
    with one_node_ray(scratch / "ray") as address:
        launcher = ["hydra/launcher=ray_cluster", "hydra.launcher.remote.num_cpus=1"]
        launcher.append(f"hydra.launcher.init.address='{address}'")
        return swept(scratch / "outputs", launcher, os.environ, end=_kill)


def _kill(folder: Path) -> None:
    [pulse] = folder.glob(".pulse_*")
    os.kill(int(pulse.read_text(encoding="utf-8").split()[1]), signal.SIGKILL)


@contextmanager
def one_node_ray(folder: Path) -> Iterator[str]:
    """Start Ray on ports of its own, and stop it at the end."""
    ports = {name: free_port() for name in ("port", "ray-client-server-port", "dashboard-agent-listen-port")}
    line = [
        *(
            str(Path(sys.executable).with_name("ray")),
            "start",
            "--head",
            "--block",
            "--include-dashboard=false",
        ),
        *(f"--num-cpus={available_cores()}", "--object-store-memory=100000000", f"--temp-dir={folder}"),
        *("--node-ip-address=127.0.0.1", *(f"--{name}={port}" for name, port in ports.items())),
    ]
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    address = f"127.0.0.1:{ports['port']}"
    with stopped_at_the_end(subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL)):
        asked = [line[0], "status", f"--address={address}"]
        deadline = time.monotonic() + 60
        while subprocess.run(asked, capture_output=True, env=environment, check=False).returncode:
            assert time.monotonic() < deadline, "Ray does not answer"
        yield address


def swept(
    outputs: Path, launcher: list[str], environment: Mapping[str, str], *, end: Callable[[Path], None]
) -> str:
    """Run a sweep, end one job while it learns, resume; return what came of it, or say what is wrong."""
    line = [
        *(sys.executable, "-m", "crack_lightning.train", "-m", *TINY, *launcher, f"outputs={outputs}"),
        *(f"seed={','.join(map(str, range(JOBS)))}", "sweep.jobs=2", "trainer.max_epochs=20"),
        "trainer.checkpoint_every=0",
    ]
    began = time.monotonic()
    process = subprocess.Popen(line, env=environment)
    log = f"multirun/*/*/{VICTIM}/run.log"
    while not (learning := [path for path in outputs.glob(log) if _epochs(path)]):
        assert process.poll() is None, "the sweep ended before the job that was to be ended began"
        time.sleep(0.2)
    folder = learning[0].parent
    end(folder)
    code, middle = process.wait(), time.monotonic()
    first = _statuses(folder.parent)
    again = subprocess.run([*line, "sweep.resume=latest"], env=environment, check=False).returncode
    starts = {job.number: job.attempts for job in Journal(folder.parent).read()[1]}
    reports = len(list(folder.parent.glob("*/report/report.json")))
    assert (code, again) == (3, 0), (code, again)
    assert [status == "done" for status in first] == [job != VICTIM for job in range(JOBS)], first
    assert set(_statuses(folder.parent)) == {"done"}, _statuses(folder.parent)
    assert starts == dict.fromkeys(range(JOBS), 1) | {VICTIM: 2}, starts
    assert reports == JOBS, reports
    epochs = _epochs(folder / "run.log")
    assert epochs == [*range(1, len(epochs) + 1)], epochs
    return (
        f"Python {platform.python_version()}: {JOBS} jobs in {middle - began:.0f} s, of which job {VICTIM} "
        f"{first[VICTIM]}; resumed, exactly that one ran, in {time.monotonic() - middle:.0f} s, and learnt "
        f"each of {len(epochs)} epochs once; {reports} reports"
    )


def _epochs(log: Path) -> list[int]:
    return [int(number) for number in re.findall(r" INFO epoch (\d+) of ", log.read_text(encoding="utf-8"))]


def _statuses(sweep: Path) -> list[str]:
    with (sweep / "jobs.csv").open(encoding="utf-8", newline="") as file:
        return [row["status"] for row in csv.DictReader(file)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=("slurm", "ray"))
    engine = {"slurm": on_slurm, "ray": on_ray}[parser.parse_args().engine]
    with tempfile.TemporaryDirectory() as name:
        print(engine(Path(name)))
