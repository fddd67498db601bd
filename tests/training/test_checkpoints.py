from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest
import torch

from crack_lightning.runtime.errors import CrackLightningError, DataError
from crack_lightning.training.checkpoints import AtomicCheckpointIO
from crack_lightning.training.state import RunState

if TYPE_CHECKING:
    from pathlib import Path

CHECKPOINT = {"state_dict": {"w": torch.ones(2)}, "hyper_parameters": {"a": 1}, "optimizer_states": [1]}


def test_only_the_model_of_the_best_checkpoint_is_kept(tmp_path: Path) -> None:
    for name in ("best.ckpt", "last.ckpt"):
        AtomicCheckpointIO().save_checkpoint(CHECKPOINT, tmp_path / name)
    best, last = (torch.load(tmp_path / name, weights_only=True) for name in ("best.ckpt", "last.ckpt"))
    assert last.keys() - best.keys() == {"optimizer_states"}


def test_a_full_disk_is_an_error_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(CHECKPOINT, path)
    before = path.read_bytes()

    def full(checkpoint: Any, where: Path) -> None:
        where.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CrackLightningError, match=r"cannot write .*last\.ckpt.*No space left"):
        AtomicCheckpointIO().save_checkpoint(CHECKPOINT, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize(
    "content",
    [
        *("{", "[]", '{"phase": 3}', '{"history": [1]}', '{"seconds": {"data": "x"}}', '{"resumed": -1}'),
        *('{"seconds": {"data": 1e999}}', '{"other": 1}', "[" * 10_000, '{"command": "\\ud800"}'),
    ],
)
def test_a_damaged_state_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"state\.json.*is damaged"):
        RunState.read(tmp_path)


def test_a_state_survives_its_file(tmp_path: Path) -> None:
    state = RunState()
    with state.timed("data"):
        pass
    state.advance("test", tmp_path, history=[{"epoch": 0.0, "val/loss": 0.5}])
    assert RunState.read(tmp_path) == state


def test_a_run_keeps_the_command_that_began_it_and_counts_the_others(tmp_path: Path) -> None:
    for times, command in enumerate(("train model=resnet18", "train resume=a", "train resume=b")):
        state = RunState.entered(tmp_path, command=command)
        assert (state.command, state.resumed) == ("train model=resnet18", times)
        assert RunState.read(tmp_path) == state
