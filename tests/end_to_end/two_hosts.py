"""Two hosts on this machine: network namespaces with a cable between them. Needs root, and ``ip``."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Host:
    """A network namespace with an address of its own.

    Attributes:
        name: Name of the namespace.
        address: Its IPv4 address.
    """

    name: str
    address: str

    def start(self, *line: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command on the host."""
        return subprocess.Popen(["ip", "netns", "exec", self.name, *line], **options)  # noqa: S607

    def run(self, *line: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command on the host."""
        return subprocess.run(
            ["ip", "netns", "exec", self.name, *line],  # noqa: S607
            check=False,
            text=True,
            **options,
        )

    def kill(self) -> int:
        """Kill all processes of the host at once, as a power cut does; return their number."""
        pids = [int(pid) for pid in _ip("netns", "pids", self.name).split()]
        for pid in pids:
            with _unless_gone():
                os.kill(pid, signal.SIGKILL)
        return len(pids)


def are_possible() -> bool:
    """Return whether this process may make network namespaces."""
    if os.name != "posix" or os.geteuid() != 0 or not shutil.which("ip"):
        return False
    name = f"crack_{uuid.uuid4().hex[:6]}"
    try:
        _ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    _ip("netns", "delete", name)
    return True


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Make two hosts that reach each other and nothing else; kill what runs there at the end."""
    tag = uuid.uuid4().hex[:6]
    hosts = Host(f"crack_{tag}_1", "10.77.0.1"), Host(f"crack_{tag}_2", "10.77.0.2")
    cables = f"ck{tag}a", f"ck{tag}b"
    with ExitStack() as stack:
        for host in hosts:
            _ip("netns", "add", host.name)
            stack.callback(_ip, "netns", "delete", host.name)
            stack.callback(host.kill)
        _ip("link", "add", cables[0], "type", "veth", "peer", "name", cables[1])
        for host, cable in zip(hosts, cables, strict=True):
            _ip("link", "set", cable, "netns", host.name)
            _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", cable)
            for device in (cable, "lo"):
                _ip("-n", host.name, "link", "set", device, "up")
        yield hosts


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout  # noqa: S607


@contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except ProcessLookupError:
        return
