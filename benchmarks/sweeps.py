"""Sweeps under faults: jobs that fail in every way, a sweep that is killed, jobs of two processes."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path
from typing import Any

TINY = (
    "trainer=smoke",
    "data.drawn.num_tiles=120",
    "data.drawn.tile_px=64",
    "data.batch_size=8",
    "model=plain_cnn",
    "model.image_size=48",
    "progress=false",
)
FAULTS = '''
import os, resource, signal
from pathlib import Path
import numpy as np
from pytorch_lightning import Callback

class Fault(Callback):
    """Fails by seed, while the file ``cause`` is there."""

    def __init__(self, seed, cause):
        self.seed, self.cause = seed, Path(cause)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if not self.cause.exists():
            return
        if self.seed == 1:
            raise RuntimeError("an exception")
        if self.seed == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.seed == 5:
            np.empty(2**50, dtype=np.uint8)
        if self.seed == 7:
            next(pl_module.parameters()).data.fill_(float("nan"))
        if self.seed == 9:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
'''
FAULTY = ("1", "3", "5", "7", "9")


def injected_faults(scratch: Path, environment: dict[str, str]) -> str:
    """Run twelve jobs of which five fail, each in another way; then those five again without the cause."""
    (scratch / "faults.py").write_text(textwrap.dedent(FAULTS), encoding="utf-8")
    cause = scratch / "cause"
    cause.touch()
    line = [
        *(sys.executable, "-m", "crack_lightning.train", "-m", *TINY, f"outputs={scratch / 'b'}"),
        *(f"seed={','.join(map(str, range(12)))}", "plugins=[faults]", "trainer.checkpoint_every=0"),
        *("+callbacks.fault._target_=faults.Fault", "+callbacks.fault.seed=${seed}"),
        f"+callbacks.fault.cause={cause}",
    ]
    environment = environment | {
        "PYTHONPATH": os.pathsep.join([str(scratch), environment.get("PYTHONPATH", "")])
    }
    code = subprocess.run(line, env=environment, check=False).returncode
    [folder] = (scratch / "b").glob("multirun/*/*")
    with (folder / "jobs.csv").open(encoding="utf-8", newline="") as file:
        first = {row["job"]: row["status"] for row in csv.DictReader(file)}
    cause.unlink()
    again = subprocess.run([*line, "sweep.resume=latest"], env=environment, check=False).returncode
    starts = Counter(str(event["job"]) for event in events(folder) if event.get("state") == "running")
    reports = len(list(folder.glob("*/report/report.json")))
    assert {job for job, status in first.items() if status != "done"} == set(FAULTY), first
    assert {job for job, number in starts.items() if number == 2} == set(FAULTY), starts
    told = "; ".join(f"{job} {first[job]}" for job in FAULTY)
    return f"exit codes {code} and {again}, {reports} reports; resumed exactly the failed ones: {told}"


def killed_sweep(scratch: Path, environment: dict[str, str], *, kills: int = 10, jobs: int = 60) -> str:
    """Kill a sweep at random moments and resume it each time; count what ran, and what outlived it.

    Every other kill comes while jobs run, the others at any moment from the sweep's start; there are so many
    jobs that each meets a sweep which is not done.
    """
    line = [
        *(sys.executable, "-m", "crack_lightning.train", "-m", *TINY, f"outputs={scratch / 'c'}"),
        *(f"seed=range({jobs})", "sweep.jobs=2", "trainer.max_epochs=3"),
        "trainer.checkpoint_every=0",
    ]
    environment = environment | {"SWEEP_ROW": "c"}
    rng, orphans = random.Random(0), 0.0
    resume: list[str] = []
    began = time.monotonic()
    for number in range(kills):
        before = _starts(scratch / "c")
        process = subprocess.Popen([*line, *resume], env=environment)
        while number % 2 == 0 and _starts(scratch / "c") == before and process.poll() is None:
            time.sleep(0.1)
        resume = ["sweep.resume=latest"]
        time.sleep(rng.uniform(0, 20 if number % 2 else 8))
        assert process.poll() is None, "the sweep was done before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        orphans = max(orphans, outlives("SWEEP_ROW=c"))
    code = subprocess.run([*line, *resume], env=environment, check=False).returncode
    [folder] = (scratch / "c").glob("multirun/*/*")
    done = Counter(event["job"] for event in events(folder) if event.get("state") == "done")
    starts = _starts(scratch / "c")
    reports = len(list(folder.glob("*/report/report.json")))
    assert set(done) == set(range(jobs)), done
    once = "once" if set(done.values()) == {1} else f"{dict(done)} times"
    seconds = time.monotonic() - began
    return (
        f"exit code {code}; {kills} kills in {seconds:.0f} s; {starts} starts, each of {jobs} jobs done "
        f"{once}; {reports} reports; the last process ended at most {orphans:.1f} s after its sweep"
    )


def _starts(outputs: Path) -> int:
    """Count the starts of jobs in the sweep below a folder, if it has begun."""
    folders = [path.parent for path in outputs.glob("multirun/*/*/sweep.jsonl")]
    return sum(event.get("state") == "running" for folder in folders for event in events(folder))


TWO_PROCESSES = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")


def shared_steps(scratch: Path, environment: dict[str, str]) -> str:
    """Sweep over two networks, each trained by two processes; compare a net's weights with one process's."""
    out = scratch / "e"
    environment = environment | {"SWEEP_ROW": "e"}
    models = "model=mobilenetv2,mobilenetv3_small"
    line = [sys.executable, "-m", "crack_lightning.train", "-m", models, *TWO_PROCESSES]
    began = time.monotonic()
    code = subprocess.run(
        [*line, "trainer.max_epochs=1", f"outputs={out}"], env=environment, check=False
    ).returncode
    seconds = time.monotonic() - began
    orphans = outlives("SWEEP_ROW=e")
    [sweep] = out.glob("multirun/*/*")
    assert [path.name for path in out.iterdir()] == ["multirun"], list(out.iterdir())
    jobs = sorted(path for path in sweep.iterdir() if path.is_dir())
    assert [path.name for path in jobs] == ["0", "1"], jobs
    tiles = [_tested_once(job) for job in jobs]
    return (
        f"exit code {code}, {len(list(sweep.glob('**/report.json')))} reports, folders {jobs[0].name} and "
        f"{jobs[1].name} alone, {tiles} test tiles once each, {seconds:.0f} s, the last process ended "
        f"{orphans:.1f} s after; largest difference of a weight after 20 steps "
        f"{_weight_difference(scratch, environment):.1e}"
    )


def _tested_once(job: Path) -> int:
    """Return the number of test tiles, each of which predictions.csv has exactly once."""
    with (job / "splits.csv").open(encoding="utf-8", newline="") as file:
        expected = sorted(row["path"] for row in csv.DictReader(file) if row["split"] == "test")
    with (job / "predictions.csv").open(encoding="utf-8", newline="") as file:
        told = sorted(row["path"] for row in csv.DictReader(file))
    assert told == expected, (len(told), len(expected))
    return len(told)


def _weight_difference(scratch: Path, environment: dict[str, str]) -> float:
    """Train 20 steps by one process and by two; return the largest difference of a weight."""
    import torch

    settings = [
        *("model=convnext_atto", "model.head=pooled"),  # neither has BatchNorm
        *("model.drop_rate=0", "model.drop_path_rate=0", "progress=false"),
        *("trainer.accelerator=cpu", "trainer.max_epochs=1", "trainer.max_train_batches=20"),
        "optimizer.lr=1e-3",  # AdamW takes a whole step, of either sign, where a gradient is rounding alone
    ]
    weights = []
    for name, processes in (("one", ()), ("two", TWO_PROCESSES)):
        out = scratch / f"e-{name}"
        line = [sys.executable, "-m", "crack_lightning.train", *processes, *settings, f"outputs={out}"]
        subprocess.run(line, env=environment, check=True)
        [best] = out.glob("*/*/checkpoints/best.ckpt")
        weights.append(torch.load(best, weights_only=True)["state_dict"])
    one, two = weights
    assert one.keys() == two.keys()
    return max(float((one[name].double() - two[name].double()).abs().max()) for name in one)


def events(folder: Path) -> list[dict[str, Any]]:
    """Return the events of a sweep's journal."""
    whole, _, _ = (folder / "sweep.jsonl").read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def outlives(mark: str, *, patience_s: float = 120) -> float:
    """Return the seconds until no process has a variable in its environment."""
    began = time.monotonic()
    while found := alive(mark):
        assert time.monotonic() - began < patience_s, found
        time.sleep(0.05)
    return time.monotonic() - began


def alive(mark: str) -> list[int]:
    """Return the processes that have a variable in their environment; zombies have none."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
