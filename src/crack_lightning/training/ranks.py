"""Processes that share every batch of a run: spawned, asked to stop, heard, and ended with the run."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import time
import traceback
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import distributed

from crack_lightning.errors import CrackLightningError, Interrupted, Pruned
from crack_lightning.hardware import configure_process
from crack_lightning.processes import die_with_parent, end_in_words
from crack_lightning.run_folder import logging_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from ctypes import c_int
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from crack_lightning.training.guards import StopRequests

    Report = Callable[[float, dict[str, float]], bool]

_POLL_S = 0.2
_LISTENED = (signal.SIGINT, signal.SIGTERM)
T = TypeVar("T")


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
        for number in _LISTENED:
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
class _Group:
    total: int
    gpus: bool
    threads: int
    log: Path
    rendezvous: Path
    reports: bool


def in_ranks(
    work: Callable[[Rank], T],
    *,
    total: int,
    gpus: bool,
    threads: int,
    log: Path,
    requests: StopRequests,
    report: Report | None = None,
) -> T:
    """Do some work in several processes at once, which form torch's process group.

    They are spawned, so that none of them parses a command line, and end at the latest with this call or
    with this process. A stop that is asked for is passed on to them; a second one ends them.

    Args:
        work: Called in each process with its :class:`Rank`; is pickled.
        total: How many processes.
        gpus: Whether each has a GPU, and they talk by NCCL; else they talk by gloo.
        threads: Compute threads of each.
        log: Where the first process logs, beside the console.
        requests: The run's own.
        report: Is told an epoch's figures by the first process, and says whether to end the run.

    Returns:
        What the first process returned.

    Raises:
        CrackLightningError: If a process ended without a word.
        BaseException: What a process raised.
    """
    context = multiprocessing.get_context("spawn")
    flag = context.RawValue("i", 0)
    lines: dict[Connection, SpawnProcess] = {}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        requests.deferred = True
        stack.callback(setattr, requests, "deferred", False)
        stack.callback(_end, lines.values())
        group = _Group(
            total=total,
            gpus=gpus,
            threads=threads,
            log=log,
            rendezvous=scratch / "rendezvous",
            reports=report is not None,
        )
        for number in range(total):
            line, end = context.Pipe()
            process = context.Process(
                target=_rank, args=(number, group, work, flag, end), name=f"process {number + 1}"
            )
            with _signals_ignored():  # a child inherits that, and signals are for this process
                process.start()
            end.close()
            lines[line] = process
        result: T = _heard(lines, flag=flag, requests=requests, report=report)
        return result


def _heard(
    lines: Mapping[Connection, SpawnProcess],
    *,
    flag: c_int,
    requests: StopRequests,
    report: Report | None,
) -> Any:
    """Hear what the processes say until all are done, and pass on to them what the run is asked."""
    results: dict[Connection, Any] = {}
    while waiting := [line for line in lines if line not in results]:
        ready = wait(waiting, timeout=_POLL_S)
        waiting.sort(key=lambda line: lines[line].is_alive())  # a death makes the others raise, too
        for line in (line for line in waiting if line in ready):
            kind, said = _received(line, lines)
            if kind == "raised":
                raise said
            if kind == "epoch":
                assert report is not None, "asked for by it"
                line.send(report(*said))
            else:
                results[line] = said
        flag.value = requests.received or 0
    if requests.received:
        raise Interrupted(requests.received)
    return results[next(iter(lines))]


def _received(line: Any, lines: Mapping[Connection, SpawnProcess]) -> tuple[str, Any]:
    try:
        kind, said = line.recv()
    except (EOFError, OSError):
        process = lines[line]
        process.join()
        return "raised", CrackLightningError(
            f"training: {process.name} of {len(lines)} {end_in_words(process.exitcode)}; resume=<the run's "
            "folder> goes on from its last checkpoint."
        )
    return kind, said


def _end(processes: Iterable[SpawnProcess]) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.join()


@contextmanager
def _signals_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = [(number, signal.signal(number, signal.SIG_IGN)) for number in _LISTENED]
    try:
        yield
    finally:
        for number, handler in previous:
            signal.signal(number, handler)


def _rank(number: int, group: _Group, work: Callable[[Rank], Any], flag: c_int, line: Connection) -> None:
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


def _join(number: int, group: _Group) -> None:
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
