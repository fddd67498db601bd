"""A worker process of distributed data-parallel training."""

from __future__ import annotations

import os
import pickle
import signal
import time
import traceback
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

from crack_lightning.runtime.errors import CrackLightningError, Interrupted, Pruned
from crack_lightning.runtime.files.run_folder import log_to
from crack_lightning.runtime.hardware import configure_process
from crack_lightning.runtime.processes import exit_with_parent
from crack_lightning.training.hosts import Hosts, explain_lost_host, use_interface_to

if TYPE_CHECKING:
    from collections.abc import Callable
    from ctypes import c_int
    from multiprocessing.connection import Connection
    from pathlib import Path

    Report = Callable[[float, dict[str, float]], bool]

HANDLED_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Signals that the launching process handles for all workers."""


class RelayedRequests:
    """The stop requests of the launching process, shared with a worker.

    A terminal sends Ctrl-C to every process, and all must stop at the same step, so the launcher handles
    signals for all.

    Args:
        flag: Shared memory with the launcher: the signal's number, or 0.
    """

    def __init__(self, flag: c_int) -> None:
        self.flag, self.deferred = flag, False

    @property
    def received(self) -> int | None:
        """The signal's number, or ``None``."""
        return self.flag.value or None

    def listen(self) -> None:
        """Ignore the signals, including those that Lightning handles."""
        for number in HANDLED_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A worker process.

    Attributes:
        number: Its rank among all hosts, from 0; rank 0 writes files.
        total: World size.
        requests: Stop requests of the run.
        report: Sends an epoch's figures to the launcher and returns whether to prune; rank 0 alone has it.
    """

    number: int
    total: int
    requests: RelayedRequests
    report: Report | None


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """Settings that all workers share; see :func:`crack_lightning.training.ddp_launcher.launch_ddp`."""

    total: int
    gpus: bool
    threads: int
    log: Path
    rendezvous: Path
    reports: bool
    hosts: Hosts | None = None

    @property
    def first_rank(self) -> int:
        """The rank of the first worker of this host."""
        return 0 if self.hosts is None else self.total // self.hosts.total * self.hosts.number


def run_worker(
    number: int, settings: WorkerSettings, work: Callable[[Worker], Any], flag: c_int, connection: Connection
) -> None:
    """Run as a worker: join the process group, do the work, and send its result to the launcher.

    Args:
        number: Number of the worker on this host, from 0.
        settings: Settings of all workers of this host.
        work: Called with the :class:`Worker`.
        flag: Shared memory of stop requests.
        connection: To the launcher.
    """
    exit_with_parent()
    requests = RelayedRequests(flag)
    requests.listen()
    _set_up(number, settings)
    rank = settings.first_rank + number
    worker = Worker(
        number=rank,
        total=settings.total,
        requests=requests,
        report=_reporter(connection) if settings.reports and rank == 0 else None,
    )
    with ExitStack() as stack:
        if rank == 0:
            stack.enter_context(log_to(settings.log))
        try:
            _join(number, settings)
            result = work(worker)
        except BaseException as error:  # noqa: BLE001  # raised by the launcher
            if settings.hosts is not None:
                error = explain_lost_host(error)
            connection.send(("raised", _picklable(error, f"process {rank + 1} of {settings.total}")))
            while True:
                time.sleep(60)  # until killed: if it ended, the others would raise that a peer is missing
        connection.send(("result", result))
    distributed.destroy_process_group()


def _set_up(number: int, settings: WorkerSettings) -> None:
    """Set the environment variables of this worker that torch and Lightning read, and its threads."""
    hosts = settings.hosts
    os.environ |= {
        "LOCAL_RANK": str(number),
        "NODE_RANK": "0" if hosts is None else str(hosts.number),
        "OMP_NUM_THREADS": str(settings.threads),  # or Lightning takes cores / processes
    }
    if hosts is not None:
        use_interface_to(hosts.address, hosts.port)
    configure_process(settings.threads)


def _join(number: int, settings: WorkerSettings) -> None:
    """Join the process group: on one host through a file, as a port that is free now may be taken later."""
    device = torch.device("cuda", number) if settings.gpus else None
    if device:
        torch.cuda.set_device(device)
    hosts = settings.hosts
    distributed.init_process_group(
        "nccl" if settings.gpus else "gloo",
        init_method=f"file://{settings.rendezvous}" if hosts is None else None,
        store=None if hosts is None else hosts.workers_store(),
        rank=settings.first_rank + number,
        world_size=settings.total,
        device_id=device,
    )


def _reporter(connection: Connection) -> Report:
    def report(done: float, figures: dict[str, float]) -> bool:
        connection.send(("epoch", (done, figures)))
        return bool(connection.recv())

    return report


def _picklable(error: BaseException, where: str) -> BaseException:
    """Return an error that can be pickled, with its traceback unless the user caused it."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    except Exception:  # noqa: BLE001  # errors of libraries may not be picklable
        error = RuntimeError(f"{type(error).__name__}: {error}")
    if not isinstance(error, CrackLightningError | Interrupted | Pruned):
        error.add_note(f"in {where}:\n{traceback.format_exc()}")
    return error
