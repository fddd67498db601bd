"""Multi-host training: the number of each host, and what the first sends to the others."""

from __future__ import annotations

import os
import pickle
import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from crack_lightning.runtime.errors import ConfigError, CrackLightningError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HostStore: TypeAlias = TCPStore
"""The store through which hosts meet."""

_TASK, _LEFT, _WORKERS = "task", "left", "workers"
_MEETING_S = 600.0
_LEAVING_S = 30.0
_POLL_S = 0.5
_SIOCGIFADDR = 0x8915
_SLURM_PORTS = 15_000
_LOST = (
    "closed by peer",
    "connection reset",
    "timed out",
    "timeout",
    "[gloo",
    "gloo/",
    "nccl",
    "broken pipe",
)


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """The hosts of a training, as seen from one of them.

    Attributes:
        number: Number of this host, from 0; the first one writes all files.
        total: Number of hosts.
        address: Address of the first host.
        port: Port on which it keeps the store through which all meet.
        has_store: Whether torchrun keeps that store.
    """

    number: int
    total: int
    address: str
    port: int
    has_store: bool = False

    @property
    def is_first(self) -> bool:
        """Whether this host is the first."""
        return self.number == 0

    def store(self, *, serves: bool = False, patience_s: float = _MEETING_S) -> TCPStore:
        """Connect to the store of the first host, or open it.

        Raises:
            CrackLightningError: If the first host does not answer, or the port is taken.
        """
        timeout = timedelta(seconds=patience_s)
        try:
            return TCPStore(
                self.address,
                self.port,
                is_master=serves and not self.has_store,
                timeout=timeout,
                wait_for_workers=False,
            )
        except RuntimeError as error:
            what = "opens no store" if serves else "does not answer"
            raise CrackLightningError(
                f"trainer.nodes: the first host {what} at {self.address}:{self.port} "
                f"({_first_line(error)}); start the same command on every host, and let them reach that port."
            ) from error

    def workers_store(self) -> PrefixStore:
        """Connect to the store through which the workers of all hosts meet."""
        return PrefixStore(_WORKERS, self.store())


def find_hosts(total: int, environment: Mapping[str, str] = os.environ) -> Hosts | None:
    """Return the hosts as torchrun, SLURM or the user numbers them; ``None`` for a single host.

    Args:
        total: ``trainer.nodes``.
        environment: Environment variables: those of torchrun (one process a host), of ``srun`` (one task a
            host), or ``NODE_RANK``, ``MASTER_ADDR`` and ``MASTER_PORT``.

    Raises:
        ConfigError: If the variables are missing, or there are more or fewer hosts or processes.
    """
    if total == 1:
        return None
    if "TORCHELASTIC_RUN_ID" in environment:
        _require_one("torchrun --nproc-per-node", environment["LOCAL_WORLD_SIZE"])
        return _checked(
            total,
            environment["GROUP_WORLD_SIZE"],
            number=environment["GROUP_RANK"],
            address=environment["MASTER_ADDR"],
            port=environment["MASTER_PORT"],
            has_store=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        )
    if "SLURM_NODEID" in environment and "NODE_RANK" not in environment:
        from lightning_fabric.plugins.environments.slurm import SLURMEnvironment  # which imports Lightning

        nodes = environment.get("SLURM_STEP_NUM_NODES", environment["SLURM_NNODES"])
        tasks = int(environment.get("SLURM_STEP_NUM_TASKS", environment.get("SLURM_NTASKS", nodes)))
        _require_one("srun --ntasks-per-node", str(-(-tasks // int(nodes))))
        listed = environment.get("SLURM_STEP_NODELIST") or environment["SLURM_JOB_NODELIST"]
        return _checked(
            total,
            nodes,
            number=environment["SLURM_NODEID"],
            address=environment.get("MASTER_ADDR") or SLURMEnvironment.resolve_root_node_address(listed),
            port=environment.get("MASTER_PORT") or str(_SLURM_PORTS + int(environment["SLURM_JOB_ID"][-4:])),
        )
    if missing := [name for name in ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in environment]:
        raise ConfigError(
            f"trainer.nodes: {total} hosts run the same command by torchrun or srun, which number them; "
            f"this one has no {', '.join(missing)}. Start it by torchrun --nnodes={total} --nproc-per-node=1 "
            "or srun --ntasks-per-node=1, set these variables, or leave trainer.nodes out."
        )
    return _checked(
        total,
        str(total),
        number=environment["NODE_RANK"],
        address=environment["MASTER_ADDR"],
        port=environment["MASTER_PORT"],
    )


def _require_one(option: str, number: str) -> None:
    if int(number) != 1:
        raise ConfigError(
            f"trainer.nodes: one process a host is expected, which starts trainer.devices others, got "
            f"{number}; use {option}=1."
        )


def _checked(
    total: int, started: str, *, number: str, address: str, port: str, has_store: bool = False
) -> Hosts:
    if int(started) != total or not 0 <= int(number) < total:
        raise ConfigError(
            f"trainer.nodes: expected {total} hosts, numbered from 0, and {started} are started, of which "
            f"this is number {number}; set trainer.nodes={started}."
        )
    return Hosts(number=int(number), total=total, address=address, port=int(port), has_store=has_store)


@contextmanager
def first_host(hosts: Hosts | None) -> Iterator[TCPStore | None]:
    """Keep the first host's store open; at the end, wait for the others to leave.

    If no task was sent by then, the others receive ``None``.
    """
    if hosts is None:
        yield None
        return
    store = hosts.store(serves=True)
    try:
        yield store
    finally:
        with suppress(RuntimeError):
            if not store.check([_TASK]):
                send_task(store, None)
            ends = time.monotonic() + _LEAVING_S
            while store.add(_LEFT, 0) < hosts.total - 1 and time.monotonic() < ends:
                time.sleep(_POLL_S)


def send_task(store: TCPStore, task: object) -> None:
    """Send the other hosts what their workers do."""
    store.set(_TASK, pickle.dumps(task))  # type: ignore[arg-type]  # takes bytes too


@contextmanager
def received_task(hosts: Hosts) -> Iterator[Any]:
    """Wait for the first host's task, or ``None`` for none; at the end, report that this host is done.

    Raises:
        CrackLightningError: If the first host does not answer, or ends before it sends a task.
    """
    store = hosts.store()
    try:
        while not store.check([_TASK]):
            time.sleep(_POLL_S)
        task = pickle.loads(store.get(_TASK))  # noqa: S301  # of the same command on the user's own host
    except RuntimeError as error:
        raise CrackLightningError(
            f"trainer.nodes: the first host at {hosts.address} ended before the training began "
            f"({_first_line(error)}); see its messages."
        ) from error
    try:
        yield task
    finally:
        with suppress(RuntimeError):
            store.add(_LEFT, 1)


def use_interface_to(address: str, port: int) -> None:
    """Let gloo use the network interface that leads to an address, not the one of the host name."""
    if "GLOO_SOCKET_IFNAME" in os.environ or not hasattr(socket, "if_nameindex"):
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, port))
        own = probe.getsockname()[0]
    for _, name in socket.if_nameindex():
        if _address_of(name) == own:
            os.environ["GLOO_SOCKET_IFNAME"] = name


def _address_of(interface: str) -> str | None:
    """Return the IPv4 address of an interface; ``None`` where it has none or cannot be queried."""
    try:
        import fcntl

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            name = interface[:15].encode().ljust(256, b"\0")
            reply = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, name)
        return socket.inet_ntoa(reply[20:24])
    except (ImportError, OSError):
        return None


def explain_lost_host(error: BaseException) -> BaseException:
    """Return a user error for a lost connection between hosts; any other error unchanged."""
    text = str(error).lower()
    if not isinstance(error, RuntimeError) or not any(part in text for part in _LOST):
        return error
    return CrackLightningError(
        f"training: the connection to another host was lost ({_first_line(error)}); see the messages of the "
        "others, and give resume=<the run's folder> on every host to continue from the last checkpoint."
    )


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]
