"""One of the processes that share every batch of a run, from its own side."""

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

from crack_lightning.errors import CrackLightningError, Interrupted, Pruned
from crack_lightning.hardware import configure_process
from crack_lightning.processes import die_with_parent
from crack_lightning.run_folder import logging_to

if TYPE_CHECKING:
    from collections.abc import Callable
    from ctypes import c_int
    from multiprocessing.connection import Connection
    from pathlib import Path

    Report = Callable[[float, dict[str, float]], bool]

LISTENED = (signal.SIGINT, signal.SIGTERM)
"""The signals that are the business of the run's own process."""


class RelayedRequests:
    """What :class:`~crack_lightning.training.guards.StopRequests` of the run's own process has received.

    Signals are the run's business: a terminal sends Ctrl-C to every process, and all must stop at one step.

    Args:
        flag: Shared with the run's process: the signal's number, or 0.
    """

    def __init__(self, flag: c_int) -> None:
        self.flag, self.deferred = flag, False

    @property
    def received(self) -> int | None:
        """The signal's number, or ``None``."""
        return self.flag.value or None

    def listen(self) -> None:
        """Leave the signals to the run's process, also those that Lightning listens to."""
        for number in LISTENED:
            signal.signal(number, signal.SIG_IGN)


@dataclass(frozen=True, kw_only=True)
class Rank:
    """What one of the processes knows of itself.

    Attributes:
        number: From 0; the first writes what there is to write.
        total: How many they are.
        requests: Whether the run is to stop.
        report: Tells the run's process an epoch's figures and returns whether to end; the first alone has it.
    """

    number: int
    total: int
    requests: RelayedRequests
    report: Report | None


@dataclass(frozen=True, kw_only=True)
class Group:
    """What all of the processes are told, as :func:`crack_lightning.training.ranks.in_ranks` was."""

    total: int
    gpus: bool
    threads: int
    log: Path
    rendezvous: Path
    reports: bool


def serve(number: int, group: Group, work: Callable[[Rank], Any], flag: c_int, line: Connection) -> None:
    """Be one of the processes: join the others, do the work, and tell the run's process what came of it."""
    die_with_parent()
    requests = RelayedRequests(flag)
    requests.listen()
    _set_up(number, group.threads)
    rank = Rank(
        number=number,
        total=group.total,
        requests=requests,
        report=_reporter(line) if group.reports and number == 0 else None,
    )
    with ExitStack() as stack:
        if number == 0:
            stack.enter_context(logging_to(group.log))
        try:
            _join(number, group)
            result = work(rank)
        except BaseException as error:  # noqa: BLE001  # the run's process decides
            line.send(("raised", _sendable(error, f"process {number + 1} of {group.total}")))
            while True:
                time.sleep(60)  # to be ended: the others would raise that a process is missing
        line.send(("result", result))
    distributed.destroy_process_group()


def _set_up(number: int, threads: int) -> None:
    """Say by the usual variables which process this is, and compute with its share of the threads."""
    os.environ |= {
        "LOCAL_RANK": str(number),
        "NODE_RANK": "0",
        "OMP_NUM_THREADS": str(threads),  # or Lightning takes cores / processes
    }
    configure_process(threads)


def _join(number: int, group: Group) -> None:
    """Meet the other processes by a file: a port that is free now may be taken by then."""
    device = torch.device("cuda", number) if group.gpus else None
    if device:
        torch.cuda.set_device(device)
    distributed.init_process_group(
        "nccl" if group.gpus else "gloo",
        init_method=f"file://{group.rendezvous}",
        rank=number,
        world_size=group.total,
        device_id=device,
    )


def _reporter(line: Connection) -> Report:
    def report(done: float, figures: dict[str, float]) -> bool:
        line.send(("epoch", (done, figures)))
        return bool(line.recv())

    return report


def _sendable(error: BaseException, where: str) -> BaseException:
    """Return an error that survives the pipe, with its traceback where it is ours to mend."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    except Exception:  # noqa: BLE001  # whatever a library's error cannot do
        error = RuntimeError(f"{type(error).__name__}: {error}")
    if not isinstance(error, CrackLightningError | Interrupted | Pruned):
        error.add_note(f"in {where}:\n{traceback.format_exc()}")
    return error
