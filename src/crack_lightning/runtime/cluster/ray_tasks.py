"""Shards of work as tasks of a Ray cluster; only a lost node's shards rerun."""

from __future__ import annotations

import logging
import os
import pickle
import re
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from crack_lightning.runtime.errors import ConfigError, CrackLightningError
from crack_lightning.runtime.hardware import limit_omp_spin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

log = logging.getLogger(__name__)
S = TypeVar("S")
R = TypeVar("R")

_IN_FLIGHT = 2
"""Shards submitted for each that can be computed at once, so that no core waits for the next one."""
_PATIENCE_S, _ANSWER_S = 30.0, 10.0


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """What a task reserves, and how often it is repeated.

    Attributes:
        address: ``host:port`` of the cluster's head, or ``auto``.
        cpus: Cores.
        gpus: GPUs; less than 1 for a share of one.
        retries: Number of times that a shard is computed again after its node was lost.
    """

    address: str
    cpus: int
    gpus: float
    retries: int


@dataclass(frozen=True, kw_only=True)
class ShardResult(Generic[R]):
    """The result of a shard, and the address of the node that computed it."""

    content: R
    node: str


@dataclass
class _Shard(Generic[S]):
    number: int
    content: S
    attempts: int = field(default=0)


def run_shards(
    work: Callable[[Any, S], R], shared: Any, shards: Iterable[S], *, reservation: Reservation
) -> Iterator[tuple[S, ShardResult[R]]]:
    """Yield the shards with their results, as they are finished, in bounded memory.

    Tasks run in the working folder of this process where their node has it. Ray's own retries are off: a
    shard whose process or node was lost is submitted again here.

    Args:
        work: A function of a module, called with ``shared`` and a shard.
        shared: Sent once to each node.
        shards: The shards, taken as the cluster has room for them.
        reservation: What each task reserves.

    Raises:
        ConfigError: If Ray is not installed, no cluster answers, or no node has what a task reserves.
        CrackLightningError: Raised by ``work``; if a shard was lost too often, once all others are done.
    """
    ray = _connected(reservation)
    task = ray.remote(num_cpus=reservation.cpus, num_gpus=reservation.gpus, max_retries=0)(_run)
    sent = ray.put((pickle.dumps((work, shared)), Path.cwd(), sys.path))
    waiting = (_Shard(number, content) for number, content in enumerate(shards))
    again: list[_Shard[S]] = []
    running: dict[Any, _Shard[S]] = {}
    failed: list[str] = []
    try:
        while True:
            room = _IN_FLIGHT * max(1, _places(ray, reservation)) - len(running)
            while room > 0 and (shard := again.pop(0) if again else next(waiting, None)) is not None:
                running[task.remote(sent, shard.content)] = shard
                room -= 1
            if not running:
                break
            for future in _finished(ray, list(running), reservation):
                shard = running.pop(future)
                try:
                    content, node = ray.get(future)
                except ray.exceptions.RayTaskError as error:
                    raise _of_task(error) from error
                except ray.exceptions.RayError as error:
                    _repeat(shard, error, retries=reservation.retries, again=again, failed=failed)
                else:
                    yield shard.content, ShardResult(content=content, node=node)
    finally:
        for future in running:
            ray.cancel(future, force=True)
    if failed:
        raise CrackLightningError(
            f"cluster: {len(failed)} shards were lost {reservation.retries + 1} times each ({failed[0]}); "
            "the others are done. See why nodes are lost, and resume the run."
        )


def _run(sent: tuple[bytes, Path, list[str]], content: Any) -> tuple[Any, str]:
    """Run a shard in a process of a node."""
    import ray

    pickled, working_dir, module_paths = sent
    if working_dir.is_dir():
        os.chdir(working_dir)
    sys.path += [path for path in module_paths if path not in sys.path]
    limit_omp_spin()  # before the function's module imports torch
    work, shared = pickle.loads(pickled)  # noqa: S301  # our own
    return work(shared, content), str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]


def _connected(reservation: Reservation) -> Any:
    """Return the module ``ray``, connected to the cluster."""
    if find_spec("ray") is None:
        raise ConfigError(
            "cluster: ray needs Ray, which is not installed; run pip install 'crack-lightning[ray]', or "
            "leave cluster out."
        )
    import ray

    if not ray.is_initialized():
        try:
            _require_answer(reservation.address)
            with _own_sigterm():
                ray.init(reservation.address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ConfigError(
                f"cluster.address: no Ray cluster answers at '{reservation.address}' ({reason}); start one "
                "by ray start --head, join it by ray start --address, or give the address of its head."
            ) from error
    if not _places(ray, reservation):
        largest = max((node["Resources"].get("CPU", 0) for node in _alive(ray)), default=0)
        gpus = f" and {reservation.gpus:g} GPUs" if reservation.gpus else ""
        raise ConfigError(
            f"trainer.threads: no node of the cluster has the {reservation.cpus} cores{gpus} that a task "
            f"reserves, the largest has {largest:g} cores; lower trainer.threads or cluster.gpus."
        )
    return ray


def _require_answer(address: str) -> None:
    """Test whether the head listens, because Ray itself retries for minutes.

    Raises:
        OSError: If nothing listens there.
        ValueError: If it is no ``host:port``.
    """
    if address == "auto" or "://" in address:
        return
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Restore the handler of SIGTERM, which Ray replaces."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _alive(ray: Any) -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _places(ray: Any, reservation: Reservation) -> int:
    """Return the number of tasks that the cluster computes at once."""
    places = 0
    for node in _alive(ray):
        own = node["Resources"]
        on_node = own.get("CPU", 0) // reservation.cpus
        if reservation.gpus:
            on_node = min(on_node, own.get("GPU", 0) // reservation.gpus)
        places += int(on_node)
    return places


def _finished(ray: Any, futures: list[Any], reservation: Reservation) -> list[Any]:
    """Wait for at least one future, and return those that are done."""
    began = time.monotonic()
    while True:
        done, _ = ray.wait(futures, num_returns=1, timeout=_PATIENCE_S, fetch_local=False)
        if done:
            return list(done)
        if not _places(ray, reservation):
            log.warning(
                "cluster: no node is left that has %d cores; waiting for one since %.0f s",
                reservation.cpus,
                time.monotonic() - began,
            )


def _repeat(
    shard: _Shard[S], error: Exception, *, retries: int, again: list[_Shard[S]], failed: list[str]
) -> None:
    """Queue a shard again whose process or node was lost; give it up after ``retries``."""
    reason = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')[:200]}"
    shard.attempts += 1
    if shard.attempts > retries:
        failed.append(reason)
        log.error("cluster: shard %d was lost %d times, given up (%s)", shard.number, shard.attempts, reason)
        return
    again.append(shard)
    log.warning("cluster: shard %d was lost, computed again (%s)", shard.number, reason)


def _of_task(error: Any) -> Exception:
    """Return the exception of a task, or a sentence about a node without this package."""
    if missing := re.search(r"No module named '([\w.]+)'", str(error)):
        return ConfigError(
            f"cluster: a node has no module '{missing[1]}'; install the same versions of this package and of "
            "Ray on every node."
        )
    return error.cause if isinstance(error.cause, CrackLightningError) else error
