"""One job of a sweep: a process that cannot take the sweep with it, and dies when the sweep does."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import threading
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess
    from pathlib import Path

CONSOLE = "console.log"


def job_context() -> BaseContext:
    """Return how job processes start: forked from a server that has imported torch once, else spawned."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["crack_lightning.sweep.preload"])
    return context


def start_job(
    context: BaseContext, *, command: str, config: Mapping[str, Any], overrides: Sequence[str], folder: Path
) -> BaseProcess:
    """Start one job.

    Args:
        context: From :func:`job_context`.
        command: The command's name, for example ``train``.
        config: The job's composed configuration as plain values.
        overrides: What makes the job, ``key=value`` each.
        folder: The job's folder, made already; what the job prints goes to ``console.log`` in it.

    Returns:
        The running process.
    """
    arguments = (command, dict(config), list(overrides), folder)
    process: BaseProcess = context.Process(target=_run, args=arguments, name=f"job {folder.name}")  # type: ignore[attr-defined]
    process.start()
    return process


def _run(command: str, config: dict[str, Any], overrides: list[str], folder: Path) -> None:
    threading.Thread(target=_die_with_sweep, daemon=True).start()
    with (folder / CONSOLE).open("a", encoding="utf-8", buffering=1) as console:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(console.fileno(), stream.fileno())
    from omegaconf import OmegaConf

    from crack_lightning.cli import guarded

    module = importlib.import_module(f"crack_lightning.{command}")
    code = guarded(lambda: int(module.run(OmegaConf.create(config), overrides=overrides, folder=folder)))
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


def _die_with_sweep() -> None:
    sweep = multiprocessing.parent_process()
    assert sweep is not None, "a job is started by a sweep"
    wait([sweep.sentinel])
    os._exit(1)
