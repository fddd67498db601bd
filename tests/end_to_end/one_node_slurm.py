"""SLURM on this machine alone, from Debian's packages: own folder, ports and daemons, all ended again."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CONFIGURATION = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={controller}
SlurmdPort={daemon}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
KillWait=30
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def one_node_slurm(folder: Path, *, cores: int) -> Iterator[dict[str, str]]:
    """Start SLURM, and stop it at the end.

    Args:
        folder: Where it keeps all its files; empty.
        cores: What it may give out.

    Yields:
        The variables by which ``sbatch`` and the others find it.
    """
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    text = CONFIGURATION.format(
        folder=folder, host=host, controller=free_port(), daemon=free_port(), cores=cores
    )
    (folder / "slurm.conf").write_text(text, encoding="utf-8")
    variables = {"SLURM_CONF": str(folder / "slurm.conf")}
    own = {name: f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")}
    with ExitStack() as stack:
        start = stack.enter_context
        socket_file = f"--socket={folder}/munge.socket"
        start(_daemon(folder, {}, "munged", "--foreground", "--force", socket_file, *own.values()))
        start(_daemon(folder, variables, "slurmctld", "-D"))
        start(_daemon(folder, variables, "slurmd", "-D", "-N", host))
        _until_idle(os.environ | variables)
        yield variables


@contextmanager
def _daemon(folder: Path, variables: Mapping[str, str], program: str, *arguments: str) -> Iterator[None]:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    assert found, f"{program} is not installed; run nox -s slurm -- --install-system-packages"
    with (folder / f"{program}.out").open("wb") as out:
        line = [found, *arguments]
        process = subprocess.Popen(line, env=os.environ | variables, stdout=out, stderr=subprocess.STDOUT)
        with stopped_at_the_end(process):
            yield


@contextmanager
def stopped_at_the_end(process: subprocess.Popen[bytes], *, patience_s: float = 30) -> Iterator[None]:
    """End a process when the block ends."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_idle(environment: Mapping[str, str], *, patience_s: float = 60) -> None:
    began, told = time.monotonic(), ""
    while time.monotonic() - began < patience_s:
        asked = subprocess.run(
            ["sinfo", "--noheader", "--format=%T"],  # noqa: S607  # Debian's
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        told = asked.stdout.strip() or asked.stderr.strip()
        if told == "idle":
            return
        time.sleep(0.5)
    raise TimeoutError(f"SLURM's node is not idle after {patience_s:.0f} s: {told}")


def free_port() -> int:
    """Return a port of this machine that nobody listens on now."""
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
