"""What libraries say in vain is not told, and a full disk once, by the run's own error."""

from __future__ import annotations

import errno
import os
import threading
import warnings
from typing import TYPE_CHECKING

import pytest
import pytorch_lightning as pl
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import SummaryWriter

from crack_lightning.training.warning_filters import filter_warnings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[threading.ExceptHookArgs]:
    """What threads died of and was printed."""
    found: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", found.append)
    return found


@pytest.mark.parametrize(("reason", "printed"), [(errno.ENOSPC, 0), (errno.EDQUOT, 0), (errno.EIO, 1)])
def test_the_writers_thread_leaves_a_full_disk_to_whoever_writes(
    reason: int,
    printed: int,
    told: list[threading.ExceptHookArgs],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(self: RecordWriter, data: bytes) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(RecordWriter, "write", fail)
    with filter_warnings():
        with pytest.raises(OSError, match=os.strerror(reason)):
            SummaryWriter(str(tmp_path))
        for thread in threading.enumerate():
            if type(thread).__module__.startswith("tensorboard."):
                thread.join()
    assert len(told) == printed


def test_other_threads_tell_of_a_full_disk(told: list[threading.ExceptHookArgs]) -> None:
    def fail() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    hook = threading.excepthook
    with filter_warnings():
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    assert [arguments.thread for arguments in told] == [thread]
    assert threading.excepthook == hook


def test_on_a_cluster_nobody_is_sent_to_srun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="`srun`"):
            trainer()
        with filter_warnings():
            trainer()


def trainer() -> pl.Trainer:
    return pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
