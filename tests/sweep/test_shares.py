"""Cores and GPUs shared out among jobs."""

from __future__ import annotations

from typing import Any

import pytest

from crack_lightning.errors import ConfigError
from crack_lightning.sweep import shares
from crack_lightning.sweep.shares import share_out


def trainer(accelerator: str = "cpu", threads: int | None = None) -> dict[str, Any]:
    return {"trainer": {"accelerator": accelerator, "threads": threads}}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "available_cores", lambda: 8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")


@pytest.mark.parametrize(
    ("asked", "configs", "at_once", "threads"),
    [
        ("1", [trainer()], 1, None),
        ("3", [trainer()], 3, 2),
        ("auto", [trainer()], 8, 1),
        ("auto", [trainer(threads=3), trainer()], 2, 4),
        ("auto", [trainer(threads=16)], 1, None),
        ("auto", [trainer("auto")], 2, 4),
    ],
)
@pytest.mark.usefixtures("machine")
def test_never_more_threads_than_cores(
    asked: str, configs: list[dict[str, Any]], at_once: int, threads: int | None
) -> None:
    found = share_out(asked, configs)
    assert (len(found.environments), found.threads) == (at_once, threads)


@pytest.mark.usefixtures("machine")
def test_a_gpu_a_job() -> None:
    found = share_out("2", [trainer("gpu")])
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in found.environments] == ["3", "5"]


@pytest.mark.parametrize(
    ("asked", "config", "said"),
    [
        ("3", trainer("gpu"), r"sweep\.jobs: 3 jobs at once need a GPU each, and there are 2"),
        ("9", trainer(), r"sweep\.jobs: 9 jobs at once of 1 threads are more than the 8 cores"),
        ("3", trainer(threads=4), r"sweep\.jobs: 3 jobs at once of 4 threads are more than the 8 cores"),
    ],
)
@pytest.mark.usefixtures("machine")
def test_more_than_the_machine_has_is_refused(asked: str, config: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        share_out(asked, [config])
