"""Hosts find their number and one another, and leave together."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from crack_lightning.runtime.errors import ConfigError, CrackLightningError
from crack_lightning.training import hosts as hosts_module
from crack_lightning.training.hosts import (
    Hosts,
    explain_lost_host,
    find_hosts,
    first_host,
    received_task,
    send_task,
)

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "1",
    "LOCAL_WORLD_SIZE": "1",
    "GROUP_WORLD_SIZE": "2",
    "GROUP_RANK": "1",
    "MASTER_ADDR": "10.0.0.1",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
}
SLURM = {
    "SLURM_NODEID": "1",
    "SLURM_NNODES": "2",
    "SLURM_NTASKS": "2",
    "SLURM_JOB_NODELIST": "gpu[07-08]",
    "SLURM_JOB_ID": "41234",
}
OWN = {"NODE_RANK": "1", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (TORCHRUN, Hosts(number=1, total=2, address="10.0.0.1", port=29500, has_store=True)),
        (SLURM, Hosts(number=1, total=2, address="gpu07", port=16234)),
        (OWN, Hosts(number=1, total=2, address="10.0.0.1", port=29500)),
        (SLURM | OWN, Hosts(number=1, total=2, address="10.0.0.1", port=29500)),
    ],
)
def test_a_host_is_numbered_by_what_started_it(environment: dict[str, str], expected: Hosts) -> None:
    assert find_hosts(2, environment) == expected
    assert find_hosts(1, environment) is None


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "trainer.nodes: 2 hosts .* this one has no NODE_RANK, MASTER_ADDR, MASTER_PORT"),
        (OWN | {"NODE_RANK": "2"}, "expected 2 hosts, numbered from 0, .* this is number 2"),
        (TORCHRUN | {"GROUP_WORLD_SIZE": "3"}, "3 are started, .*; set trainer.nodes=3"),
        (
            TORCHRUN | {"LOCAL_WORLD_SIZE": "4"},
            "one process .* got 4; use torchrun --nproc-per-node=1",
        ),
        (SLURM | {"SLURM_NTASKS": "8"}, "one process a host .* got 4; use srun --ntasks-per-node=1"),
    ],
)
def test_hosts_that_do_not_fit_are_refused(environment: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        find_hosts(2, environment)


@pytest.fixture
def pair() -> tuple[Hosts, Hosts]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    first, second = (Hosts(number=n, total=2, address="127.0.0.1", port=port) for n in range(2))
    return first, second


def received(host: Hosts) -> Any:
    with received_task(host) as task:
        return task


def test_the_others_receive_the_task_of_the_first_host(pair: tuple[Hosts, Hosts]) -> None:
    with ThreadPoolExecutor() as pool:
        other = pool.submit(received, pair[1])
        with first_host(pair[0]) as store:
            assert store is not None
            send_task(store, {"folder": "outputs"})
            assert other.result(timeout=60) == {"folder": "outputs"}


def test_the_others_leave_without_a_task_where_the_first_host_has_none(pair: tuple[Hosts, Hosts]) -> None:
    with ThreadPoolExecutor() as pool:
        other = pool.submit(received, pair[1])
        with first_host(pair[0]):
            pass
        assert other.result(timeout=60) is None


def test_a_first_host_that_does_not_answer_is_named(
    pair: tuple[Hosts, Hosts], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CrackLightningError, match=r"the first host does not answer at 127\.0\.0\.1:\d+"):
        pair[1].store(patience_s=1)
    monkeypatch.setattr(hosts_module, "_LEAVING_S", 0.0)
    with first_host(pair[0]), pytest.raises(CrackLightningError, match="the first host opens no store at"):
        pair[0].store(serves=True, patience_s=1)


def test_a_lost_connection_is_one_sentence_and_other_errors_stay() -> None:
    lost = RuntimeError("[/pytorch/gloo/transport/tcp/pair.cc:547] Connection closed by peer [10.0.0.2]:1")
    assert "resume=<the run's folder> on every host" in str(explain_lost_host(lost))
    for other in (RuntimeError("shape mismatch"), ValueError("Timed out")):
        assert explain_lost_host(other) is other
