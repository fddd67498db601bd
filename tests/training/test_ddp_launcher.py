"""Processes that train together: how they fail, and that none stays behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import TYPE_CHECKING

import pytest
import torch
from torch import distributed

from crack_lightning.runtime.errors import CrackLightningError
from crack_lightning.training.ddp_launcher import launch_ddp
from crack_lightning.training.stop_signals import StopSignals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crack_lightning.training.ddp_worker import Worker


def together(work: Callable[[Worker], None], log: Path) -> None:
    with StopSignals() as requests:
        launch_ddp(work, total=2, gpus=False, threads=1, log=log, requests=requests)


def _one_fails(rank: Worker) -> None:
    if rank.number == 1:
        assert torch.get_num_threads() == 1
        raise ZeroDivisionError("10 / 0")
    distributed.barrier()


def test_what_a_process_raises_is_raised_with_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError, match="10 / 0") as raised:
        together(_one_fails, tmp_path / "run.log")
    [note] = raised.value.__notes__
    assert note.startswith("in process 2 of 2:")
    assert "in _one_fails" in note
    assert not multiprocessing.active_children()


def _one_is_killed(rank: Worker) -> None:
    if rank.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    distributed.barrier()


def test_a_process_that_is_killed_is_told(tmp_path: Path) -> None:
    with pytest.raises(CrackLightningError, match=r"training: process 2 of 2 ended by SIGKILL"):
        together(_one_is_killed, tmp_path / "run.log")
    assert not multiprocessing.active_children()
