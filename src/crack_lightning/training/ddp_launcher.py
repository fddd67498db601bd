"""The launcher of distributed data-parallel workers: spawns, monitors and ends them."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from crack_lightning.runtime.errors import CrackLightningError, Interrupted
from crack_lightning.runtime.processes import describe_exit
from crack_lightning.training.ddp_worker import HANDLED_SIGNALS, WorkerSettings, run_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from ctypes import c_int
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from crack_lightning.training.ddp_worker import Report, Worker
    from crack_lightning.training.hosts import Hosts
    from crack_lightning.training.stop_signals import StopSignals

_POLL_S = 0.2
T = TypeVar("T")


def launch_ddp(
    work: Callable[[Worker], T],
    *,
    total: int,
    gpus: bool,
    threads: int,
    log: Path,
    requests: StopSignals,
    report: Report | None = None,
    hosts: Hosts | None = None,
) -> T:
    """Run ``work`` in several processes that form torch's process group, with those of other hosts.

    They are spawned, so that none of them parses a command line, and end at the latest with this call or
    with this process. A stop request is passed on to them; a second one kills them.

    Args:
        work: Called in each process with its :class:`Worker`; is pickled.
        total: Number of processes of this host.
        gpus: Whether each process has a GPU and the backend is NCCL; else it is gloo.
        threads: Compute threads of each process.
        log: Log file of rank 0, beside the console.
        requests: Stop requests of the run.
        report: Takes an epoch's figures from rank 0 and returns whether to prune the run.
        hosts: The hosts that share the work, each with ``total`` processes; ``None`` for this one alone.

    Returns:
        The result of the first process of this host.

    Raises:
        CrackLightningError: If a process died without an exception.
        BaseException: The exception of a process.
    """
    context = multiprocessing.get_context("spawn")
    flag = context.RawValue("i", 0)
    connections: dict[Connection, SpawnProcess] = {}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        requests.deferred = True
        stack.callback(setattr, requests, "deferred", False)
        stack.callback(_end, connections.values())
        settings = WorkerSettings(
            total=total * (1 if hosts is None else hosts.total),
            hosts=hosts,
            gpus=gpus,
            threads=threads,
            log=log,
            rendezvous=scratch / "rendezvous",
            reports=report is not None,
        )
        for number in range(total):
            connection, end = context.Pipe()
            process = context.Process(
                target=run_worker, args=(number, settings, work, flag, end), name=f"process {number + 1}"
            )
            with _signals_ignored():  # inherited by the child; signals are for this process
                process.start()
            end.close()
            connections[connection] = process
        result: T = _receive_all(connections, flag=flag, requests=requests, report=report)
        return result


def _receive_all(
    connections: Mapping[Connection, SpawnProcess],
    *,
    flag: c_int,
    requests: StopSignals,
    report: Report | None,
) -> Any:
    """Receive messages of the workers until all are done, and pass stop requests on to them."""
    results: dict[Connection, Any] = {}
    while waiting := [connection for connection in connections if connection not in results]:
        ready = wait(waiting, timeout=_POLL_S)
        # dead workers first: their peers raise errors that follow from it
        waiting.sort(key=lambda connection: connections[connection].is_alive())
        for connection in (connection for connection in waiting if connection in ready):
            kind, content = _receive(connection, connections)
            if kind == "raised":
                raise content
            if kind == "epoch":
                assert report is not None, "workers send figures only for a report"
                connection.send(report(*content))
            else:
                results[connection] = content
        flag.value = requests.received or 0
    if requests.received:
        raise Interrupted(requests.received)
    return results[next(iter(connections))]


def _receive(connection: Any, connections: Mapping[Connection, SpawnProcess]) -> tuple[str, Any]:
    try:
        kind, content = connection.recv()
    except (EOFError, OSError):
        process = connections[connection]
        process.join()
        return "raised", CrackLightningError(
            f"training: {process.name} of {len(connections)} {describe_exit(process.exitcode)}; set "
            "resume=<the run's folder> to continue from its last checkpoint."
        )
    return kind, content


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
    previous = [(number, signal.signal(number, signal.SIG_IGN)) for number in HANDLED_SIGNALS]
    try:
        yield
    finally:
        for number, handler in previous:
            signal.signal(number, handler)
