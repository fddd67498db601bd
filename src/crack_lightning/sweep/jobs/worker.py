"""The worker process of a job, which exits with its sweep but cannot end it."""

from __future__ import annotations

import gc
import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, Protocol

from crack_lightning.cli.main import run_guarded
from crack_lightning.config.literals import all_escaped
from crack_lightning.runtime.errors import Pruned
from crack_lightning.runtime.files.atomic_write import write_text
from crack_lightning.runtime.files.run_folder import OUTCOME, SESSION
from crack_lightning.runtime.processes import describe_exit, exit_with_parent, own_forkserver
from crack_lightning.sweep.journal import DONE, FAILED, PRUNED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from crack_lightning.sweep.journal import Job

CONSOLE = "console.log"
ENDS_WITH_SWEEP = "crack_lightning.sweep.jobs.preload"
HEAVY = ("crack_lightning.experiment.training_run", "crack_lightning.inference.predictor")
"""Modules that the forkserver imports once, so that a job starts in a tenth of a second."""
UNWRITABLE = 74  # sysexits.h: an error while doing input or output
_UNTIL_GONE_S = 0.5
STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)


class Run(Protocol):
    """The callable that a job's process runs; pickled by name."""

    def __call__(
        self, config: dict[str, Any], *, overrides: Sequence[str], folder: Path, **options: Any
    ) -> int:
        """Run and return the exit code."""


@dataclass(frozen=True)
class CommandRun:
    """Runs a command of this package by its name."""

    command: str

    def __call__(
        self, config: dict[str, Any], *, overrides: Sequence[str], folder: Path, **options: Any
    ) -> int:
        """Run the command and return its exit code."""
        from omegaconf import OmegaConf

        module = importlib.import_module(f"crack_lightning.{self.command}")
        return int(
            module.run(OmegaConf.create(all_escaped(config)), overrides=overrides, folder=folder, **options)
        )


def job_context() -> BaseContext:
    """Return the context of job processes: a forkserver that has imported torch, else spawn."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    own_forkserver()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([ENDS_WITH_SWEEP, *HEAVY])
    return context


def head_batch(job: Job) -> str | None:
    """Return the key of jobs that may share a process one after another; ``None`` for other jobs.

    These are linear probes, which are fitted faster than a process starts and reads the tiles; the key
    consists of data, hardware and plugins.
    """
    config = job.config
    if (config.get("recipe") or {}).get("name") != "probe":
        return None
    return json.dumps({key: config.get(key) for key in ("data", "trainer", "plugins")}, sort_keys=True)


def start_job(
    context: BaseContext,
    job: Job,
    *,
    run: Run,
    environment: Mapping[str, str],
    pipe: Connection | None = None,
    followed: bool = False,
) -> BaseProcess:
    """Start the process of one job, with its output in ``console.log`` of the job's folder.

    Args:
        context: From :func:`job_context`.
        job: The job.
        run: The callable that it runs.
        environment: Environment variables added to those of the sweep.
        pipe: The job's end of a pipe that sends metrics and receives whether to prune; ``run`` then receives
            the argument ``report``.
        followed: Whether other jobs follow in the process: at the end of a job without an error it sends
            ``None``, and receives the next job or ``None``. Jobs with the same data then read it once.
    """
    arguments = (job, run, dict(environment), pipe)
    target = _work_in_turn if followed else _work
    process: BaseProcess = context.Process(target=target, args=arguments, name=f"job {job.number}")  # type: ignore[attr-defined]
    try:
        process.start()
    except (ConnectionError, EOFError):  # the forkserver was just killed; the next start begins another
        time.sleep(_UNTIL_GONE_S)
        process.start()
    return process


def read_outcome(job: Job) -> tuple[str, str] | None:
    """Return state and reason from ``outcome.json`` of a job's folder; ``None`` without such a file."""
    path = job.folder / OUTCOME
    if not path.is_file():
        return None
    outcome = json.loads(path.read_text(encoding="utf-8"))
    return outcome["state"], outcome["reason"]


def describe_failure(exit_code: int | None) -> str:
    """Describe the exit of a process that wrote no outcome; negative codes are signals."""
    if exit_code in STOPPED:
        exit_code = 128 - exit_code
    if exit_code == UNWRITABLE:
        return "failed, and could not write why into its folder; is the disk full?"
    description = describe_exit(exit_code)
    return f"{description}, see {CONSOLE}" if exit_code is None or exit_code >= 0 else description


def write_outcome(folder: Path, state: str, reason: str, trace: str = "") -> None:
    """Write ``outcome.json`` into a job's folder unless it exists: the job's own is the most precise."""
    if (folder / OUTCOME).is_file():
        return
    outcome = {"state": state, "reason": reason} | ({"traceback": trace.splitlines()} if trace else {})
    write_text(folder / OUTCOME, json.dumps(outcome, indent=1, ensure_ascii=False) + "\n")


def _work(job: Job, run: Run, environment: dict[str, str], pipe: Connection | None) -> None:
    _enter_process(environment)
    options = {"report": partial(_report, pipe)} if pipe else {}
    sys.exit(_run(job, run, **options))


def _work_in_turn(job: Job, run: Run, environment: dict[str, str], pipe: Connection) -> None:
    """Run jobs until one fails, whose process might be damaged, or none follows."""
    _enter_process(environment)
    from crack_lightning.experiment.load_data import share_tiles

    share_tiles()
    following: Job | None = job
    while following is not None:
        if code := _run(following, run):
            sys.exit(code)
        pipe.send(None)
        following = pipe.recv()
        gc.collect()  # what a job leaves, before the next one's imports are excluded from collections


def _enter_process(environment: Mapping[str, str]) -> None:
    exit_with_parent()
    if hasattr(os, "setsid"):
        os.setsid()  # a terminal's Ctrl-C is for the sweep, which stops its jobs itself
    os.environ.update(environment)


def _run(job: Job, run: Run, **options: Any) -> int:
    redirect_output(job.folder / CONSOLE)
    action = partial(run, job.config, overrides=job.overrides, folder=job.folder, **options)
    code = run_guarded(lambda: run_and_record(action, job.folder))
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def mark_failed(context: BaseContext, job: Job) -> None:
    """Write the failed status of a killed run to its TensorBoard log, in a process that imports torch."""
    log_dir = job.folder / "tensorboard"
    if len(list(log_dir.glob(f"*{SESSION}"))) == 1:  # a beginning without an end
        process = context.Process(target=_end_failed, args=(log_dir,))  # type: ignore[attr-defined]
        process.start()
        process.join()


def _end_failed(log_dir: Path) -> None:
    from crack_lightning.report.tensorboard import end_session

    end_session(log_dir, succeeded=False)


def _report(pipe: Connection, done: float, figures: dict[str, float]) -> bool:
    """Send a job's metrics to the sweep; return whether to prune the job."""
    pipe.send((done, figures))
    return bool(pipe.recv())


def redirect_output(path: Path) -> None:
    """Redirect standard output and error, also below Python, to the end of a file."""
    with path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1) as console:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(console.fileno(), stream.fileno())
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def run_and_record(action: Callable[[], int], folder: Path) -> int:
    """Run a job's action and write its outcome into its folder.

    Returns:
        The action's exit code; what it raises is passed on.
    """
    try:
        code = action()
    except Pruned as end:
        print(f"pruned: {end}")
        write_outcome(folder, PRUNED, str(end))
        return 0
    except Exception as error:
        first, *_ = [*str(error).splitlines(), ""]
        try:
            write_outcome(folder, FAILED, f"{type(error).__name__}: {first}", traceback.format_exc())
        except OSError:
            sys.exit(UNWRITABLE)
        raise
    write_outcome(folder, DONE if code == 0 else FAILED, "" if code == 0 else f"exit code {code}")
    return code
