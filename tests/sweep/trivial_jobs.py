"""Jobs of no weight, in a module that their processes can import, and a sweep of them."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.runtime.errors import Pruned
from crack_lightning.runtime.files.run_folder import OUTCOME
from crack_lightning.sweep.job_queue import JobQueue
from crack_lightning.sweep.jobs.submission import SubmittedRun
from crack_lightning.sweep.jobs.worker import ENDS_WITH_SWEEP, job_context
from crack_lightning.sweep.journal import Job, Journal
from crack_lightning.sweep.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crack_lightning.sweep.jobs.worker import Run


class EndsPoorJobs(JobQueue):
    """Ends jobs whose loss is above 1 after two fifths of their epochs."""

    def report(self, job: Job, done: float, figures: Mapping[str, float]) -> bool:
        return done == 2 / 5 and figures["val/loss"] > 1


class Quiet:
    """Is told of jobs."""

    def started(self, job: Job) -> None:
        assert job.state == "running"

    def ended(self, job: Job) -> None:
        assert job.state in ("done", "failed", "pruned")

    def on_idle(self) -> None: ...


def work(config: dict[str, Any], *, overrides: Sequence[str], folder: Path, **options: Any) -> int:
    """Do what a test asks; leave a line a start in ``started``."""
    with (folder / "started").open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    print("at work", flush=True)
    do = config["do"]
    fail(do, folder)
    first = (folder / "started").read_text(encoding="utf-8").count("\n") == 1
    if do == "once" and first:
        raise OSError(28, "No space left on device")
    if do == "learn":
        for epoch in range(1, 6):
            if options["report"](epoch / 5, {"val/loss": config["loss"]}):
                raise Pruned(f"after epoch {epoch}")
    if do == "wait" or (do == "wait once" and first):
        time.sleep(config["seconds"])
    if do == "hold":
        ctypes.PyDLL(None).sleep(600)  # Python does not come to run meanwhile
    if do == "environment":
        (folder / "gpu").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", ""), encoding="utf-8")
    return 0


def fail(do: str, folder: Path) -> None:
    """Fail in the way that is asked for."""
    if do == "raise":
        raise ValueError("seven is too many")
    if do == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if do == "allocate":
        np.empty(2**50, dtype=np.uint8)
    if do == "full disk":
        (folder / OUTCOME).mkdir()  # no file can be put there; a limit on files would stop coverage's, too
        raise OSError(28, "No space left on device")


def planned(folder: Path, *configs: dict[str, Any]) -> list[Job]:
    journal = Journal(folder)
    journal.begin(command="train")
    jobs = [
        Job(number=number, folder=folder / str(number), overrides=[], config=config)
        for number, config in enumerate(configs)
    ]
    for job in jobs:
        journal.plan(job)
    return jobs


def start(folder: Path, *, at_once: int = 1, **settings: Any) -> subprocess.Popen[bytes]:
    """Start or resume a sweep in a process of its own."""
    settings = {"environments": [{}] * at_once} | settings
    return subprocess.Popen([sys.executable, __file__, str(folder), json.dumps(settings)])


def events(folder: Path) -> list[dict[str, Any]]:
    lines = Journal(folder).path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def swept(folder: Path, **settings: Any) -> list[Job]:
    """Run a sweep to its end and return its jobs."""
    assert start(folder, **settings).wait() == 0
    return Journal(folder).read()[1]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def until(true: Any) -> None:
    """Wait; pytest's own timeout ends a test that waits in vain."""
    while not true():
        time.sleep(0.02)


def main(folder: Path, settings: dict[str, Any]) -> None:
    """Run, or go on with, the sweep in a folder."""
    context = job_context()
    context.set_forkserver_preload([ENDS_WITH_SWEEP, *settings.pop("preload", [])])  # no torch is needed
    journal = Journal(folder)
    left = EndsPoorJobs([job for job in journal.read()[1] if not job.ended])
    run: Run = work
    if node := settings.pop("launcher", None):
        named = importlib.import_module("trivial_jobs").work  # not __main__'s, which is nothing elsewhere
        run = SubmittedRun(run=named, command="train", node=node, patience_s=settings.pop("patience_s"))
    settings |= {"batch_of": lambda job: job.config.get("batch")}
    Scheduler(left, run=run, journal=journal, watcher=Quiet(), context=context, **settings).work()


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
