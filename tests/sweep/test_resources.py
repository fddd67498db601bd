"""Cores and GPUs shared out among jobs."""

from __future__ import annotations

from typing import Any

import pytest

from crack_lightning.runtime.errors import ConfigError
from crack_lightning.sweep import resources
from crack_lightning.sweep.resources import allocate_resources


def trainer(accelerator: str = "cpu", threads: int | None = None, devices: int | None = 1) -> dict[str, Any]:
    return {"trainer": {"accelerator": accelerator, "threads": threads, "devices": devices}}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "available_cores", lambda: 8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,6,7,9")


@pytest.mark.parametrize(
    ("asked", "configs", "at_once", "threads"),
    [
        ("1", [trainer()], 1, None),
        ("3", [trainer()], 3, 2),
        ("auto", [trainer()], 8, 1),
        ("auto", [trainer(threads=3), trainer()], 2, 4),
        ("auto", [trainer(threads=16)], 1, None),
        ("auto", [trainer("auto")], 5, 1),
        ("auto", [trainer("gpu", devices=2)], 2, 4),
        ("auto", [trainer("gpu", devices=None)], 1, None),
        ("auto", [trainer(devices=4), trainer(devices=2)], 2, 4),
    ],
)
@pytest.mark.usefixtures("machine")
def test_never_more_threads_than_cores(
    asked: str, configs: list[dict[str, Any]], at_once: int, threads: int | None
) -> None:
    found = allocate_resources(asked, configs)
    assert (len(found.environments), found.threads) == (at_once, threads)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(("devices", "dealt"), [(1, ["3", "5"]), (2, ["3,5", "6,7"])])
def test_no_gpu_is_in_two_jobs(devices: int, dealt: list[str]) -> None:
    found = allocate_resources("2", [trainer("gpu", devices=devices)])
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in found.environments] == dealt


@pytest.mark.parametrize(
    ("asked", "config", "said"),
    [
        ("6", trainer("gpu"), r"sweep\.jobs: 6 jobs at once need a GPU each, and there are 5"),
        ("3", trainer("gpu", devices=2), r"sweep\.jobs: 3 jobs at once need 2 GPUs each, and there are 5"),
        ("3", trainer(devices=3), r"sweep\.jobs: 3 jobs at once of 3 threads are more than the 8 cores"),
        ("9", trainer(), r"sweep\.jobs: 9 jobs at once of 1 threads are more than the 8 cores"),
        ("3", trainer(threads=4), r"sweep\.jobs: 3 jobs at once of 4 threads are more than the 8 cores"),
    ],
)
@pytest.mark.usefixtures("machine")
def test_more_than_the_machine_has_is_refused(asked: str, config: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        allocate_resources(asked, [config])
