"""A job elsewhere and the process that waits for it, by the files between them."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import pytest

from crack_lightning.runtime.errors import Interrupted
from crack_lightning.runtime.files.run_folder import LEASE
from crack_lightning.runtime.processes import raise_on_sigterm
from crack_lightning.sweep.jobs.heartbeat import PULSE, Heartbeat, watch_heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Apart = Callable[..., None]

QUICK_S = 1.0


def held(folder: Path, on_silent: threading.Event | None = None) -> Heartbeat:
    return Heartbeat(folder, on_silent=(on_silent or threading.Event()).set, patience_s=QUICK_S)


@contextlib.contextmanager
def working(folder: Path, token: str) -> Iterator[None]:
    with raise_on_sigterm(), watch_heartbeat(folder, token, patience_s=QUICK_S):
        yield


def go_on(tmp_path: Path) -> None:
    on_silent = threading.Event()
    with held(tmp_path, on_silent) as lease:
        assert not lease.begun
        with working(tmp_path, lease.token):
            time.sleep(2.5 * QUICK_S)
            assert lease.begun
    assert not on_silent.is_set()
    assert not list(tmp_path.iterdir())


def test_a_job_whose_sweep_lives_goes_on_and_leaves_nothing(tmp_path: Path, apart: Apart) -> None:
    apart(go_on, tmp_path)


def stop_without_lease(tmp_path: Path) -> None:
    with held(tmp_path) as lease:
        threading.Timer(0.1, lease.end).start()
        with pytest.raises(Interrupted, match="signal 15"), working(tmp_path, lease.token):
            time.sleep(10)


def test_a_job_stops_when_its_lease_is_ended(tmp_path: Path, apart: Apart) -> None:
    apart(stop_without_lease, tmp_path)


def stop_for_another(tmp_path: Path) -> None:
    with (
        held(tmp_path) as earlier,
        pytest.raises(Interrupted),
        working(tmp_path, earlier.token),
        held(tmp_path),
    ):
        time.sleep(10)


def test_a_later_lease_stops_an_earlier_ones_job(tmp_path: Path, apart: Apart) -> None:
    apart(stop_for_another, tmp_path)


def stop_alone(tmp_path: Path) -> None:
    (tmp_path / LEASE).write_text("a killed sweep's", encoding="utf-8")
    began = time.monotonic()
    with pytest.raises(Interrupted), working(tmp_path, "a killed sweep's"):
        time.sleep(120)
    assert time.monotonic() - began >= QUICK_S  # not before the patience is over


def test_a_job_stops_when_its_sweep_gives_no_sign_of_life(tmp_path: Path, apart: Apart) -> None:
    apart(stop_alone, tmp_path)


def test_a_job_that_began_and_gives_no_sign_of_life_is_given_up(tmp_path: Path) -> None:
    on_silent = threading.Event()
    with held(tmp_path, on_silent) as lease:
        assert not on_silent.wait(2 * QUICK_S)  # it may stand in a queue
        (tmp_path / f"{PULSE}_{lease.token}").touch()
        assert on_silent.wait(5)
