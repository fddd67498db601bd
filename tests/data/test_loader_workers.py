"""Workers without shared memory, and errors of workers."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections import namedtuple
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from crack_lightning.data.loader_workers import TileLoader, explain_worker_failures, worker_init
from crack_lightning.runtime.errors import DataError, Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
Room = namedtuple("Room", ["f_bavail", "f_frsize"])  # noqa: PYI024  # as os.statvfs returns it


class Batches(Dataset[Any]):
    """Batches of which one kills its worker."""

    def __init__(self, *, deadly: int | None = None, how: int = signal.SIGKILL) -> None:
        self.deadly, self.how = deadly, how

    def __len__(self) -> int:
        return 8

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        if row == self.deadly:
            os.kill(os.getpid(), self.how)
            time.sleep(600)
        image = torch.full((2, 3, 64, 64), row, dtype=torch.uint8)
        return {"image": image}


def loader(data: Batches, **options: Any) -> DataLoader[Any]:
    return TileLoader(
        data, batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=50, **options
    )


def with_room(monkeypatch: pytest.MonkeyPatch, mib: int) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: Room(mib * 256, 4096))


@pytest.mark.parametrize(("mib", "copies"), [(64, 1), (599, 1), (1300, 0), (20_000, 0)])
def test_workers_use_pipes_where_shared_memory_is_too_small_for_prefetched_batches(
    mib: int, copies: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with_room(monkeypatch, mib)
    set_up = worker_init(batch_bytes=128 * 3 * 320 * 320, num_workers=4)  # 39 MB; 16 of them are prefetched
    assert (set_up is not None) == bool(copies)
    assert caplog.text.count(f"has {mib} MiB free and they may take 600") == copies


def test_a_run_without_workers_or_a_system_without_shared_memory_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_room(monkeypatch, 0)
    assert worker_init(batch_bytes=10**9, num_workers=0) is None
    monkeypatch.setattr(os, "statvfs", lambda _: (_ for _ in ()).throw(FileNotFoundError()))
    assert worker_init(batch_bytes=10**9, num_workers=4) is None


def read_all(mib: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        with_room(patch, mib)
        set_up = worker_init(batch_bytes=2**20, num_workers=2)
    made: Iterator[Any] = iter(loader(Batches(), worker_init_fn=set_up))
    for row in range(len(Batches())):
        batch = next(made)
        np.testing.assert_array_equal(batch["image"].numpy(), np.full((2, 3, 64, 64), row, np.uint8))
        assert batch["image"].is_shared() == (mib > 1)


@FORK
@pytest.mark.parametrize("mib", [1, 10**6])
def test_copied_batches_are_the_shared_ones(mib: int, apart: Callable[..., None]) -> None:
    apart(read_all, mib)  # torch's handler of SIGCHLD would outlive the test


def explain_a_killed_worker(how: int) -> None:
    sentence = r"data\.num_workers: .*worker \(pid.* data\.num_workers=0 .*--shm-size"
    with pytest.raises(DataError, match=sentence), explain_worker_failures():
        list(loader(Batches(deadly=3, how=how)))


@FORK
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGBUS])
def test_a_killed_worker_raises_an_error_with_what_to_do(how: int, apart: Callable[..., None]) -> None:
    apart(explain_a_killed_worker, how)


def take_a_stop_for_an_interruption() -> None:
    with pytest.raises(Interrupted) as stopped, explain_worker_failures(lambda: signal.SIGTERM):
        list(loader(Batches(deadly=3, how=signal.SIGTERM)))
    assert stopped.value.signal_number == signal.SIGTERM


@FORK
def test_workers_that_the_stop_signal_killed_too_are_an_interruption(apart: Callable[..., None]) -> None:
    apart(take_a_stop_for_an_interruption)


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes differ"), explain_worker_failures():
        raise RuntimeError("shapes differ")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EAGAIN])
def test_workers_that_cannot_be_started_raise_an_error(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Any) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(DataLoader, "__iter__", refused)
    with pytest.raises(DataError, match=rf"2 worker processes cannot be started \({os.strerror(number)}"):
        iter(loader(Batches()))
