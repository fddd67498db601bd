"""A shard whose process was lost is computed again, and no other."""

from __future__ import annotations

import logging
import os
import signal
from typing import TYPE_CHECKING

import pytest

from crack_lightning.runtime.cluster.ray_tasks import Reservation, run_shards
from crack_lightning.runtime.errors import ConfigError, CrackLightningError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO:FutureWarning"),
]


@pytest.fixture(scope="module")
def _cluster() -> Iterator[None]:
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # else Ray stores a token at home
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(num_cpus=2, include_dashboard=False, object_store_memory=10**8, logging_level=logging.ERROR)
        yield
        ray.shutdown()


def reservation(**changes: int | str) -> Reservation:
    settings = {"address": "auto", "cpus": 1, "gpus": 0, "retries": 1} | changes
    return Reservation(**settings)  # type: ignore[arg-type]


def noted(folder: Path, number: int) -> int:
    """Note each attempt at a shard; the process of shard 3 dies at the first, that of 5 at every one."""
    attempts = folder / f"{number}_{len(list(folder.glob(f'{number}_*')))}"
    attempts.touch()
    if number == 3 and attempts.name == "3_0":
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * 10


def refused(_: object, number: int) -> int:
    if number == 2:
        raise ConfigError("threshold: expected a better number.")
    return number


def unimportable(_: object, number: int) -> int:
    raise ModuleNotFoundError(f"No module named 'crack_lightning', shard {number}")


@pytest.mark.usefixtures("_cluster")
def test_a_lost_shard_alone_is_computed_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = dict(run_shards(noted, tmp_path, [1, 2, 3, 4], reservation=reservation()))
    assert {shard: result.content for shard, result in found.items()} == {1: 10, 2: 20, 3: 30, 4: 40}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1_0", "2_0", "3_0", "3_1", "4_0"]
    assert "shard 2 was lost, computed again (WorkerCrashedError" in caplog.text


@pytest.mark.usefixtures("_cluster")
def test_a_shard_that_is_lost_too_often_is_named_once_the_others_are_done(tmp_path: Path) -> None:
    found: list[int] = []
    with pytest.raises(CrackLightningError, match=r"1 shards were lost 2 times each \(WorkerCrashedError"):
        found.extend(
            shard for shard, _ in run_shards(noted, tmp_path, [5, 6, 7, 8, 9], reservation=reservation())
        )
    assert sorted(found) == [6, 7, 8, 9]


@pytest.mark.usefixtures("_cluster")
def test_a_mistake_on_a_node_is_the_mistake_of_the_run() -> None:
    with pytest.raises(ConfigError, match=r"threshold: expected a better number\."):
        list(run_shards(refused, None, range(20), reservation=reservation()))
    with pytest.raises(ConfigError, match="a node has no module 'crack_lightning'"):
        list(run_shards(unimportable, None, [1], reservation=reservation()))


@pytest.mark.usefixtures("_cluster")
def test_shards_are_taken_as_there_is_room(tmp_path: Path) -> None:
    taken: list[int] = []

    def shards() -> Iterator[int]:
        for number in range(100, 200):
            taken.append(number)
            yield number

    results = run_shards(noted, tmp_path, shards(), reservation=reservation())
    next(results)
    assert len(taken) <= 8
    results.close()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("_cluster")
def test_more_cores_than_a_node_has_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.threads: no node of the cluster has the 64 cores"):
        list(run_shards(refused, None, [1], reservation=reservation(cpus=64)))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "head", "head:port"])
def test_a_cluster_that_does_not_answer_is_named(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    said = rf"cluster\.address: no Ray cluster answers at '{address}' \(.*; start one by ray start --head"
    with pytest.raises(ConfigError, match=said):
        list(run_shards(refused, None, [1], reservation=reservation(address=address)))
