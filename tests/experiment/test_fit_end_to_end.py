"""Training by two DDP processes equals training by one."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import pytorch_lightning as pl
import torch

from crack_lightning.config import TrainConfig, compose_config, parse
from crack_lightning.experiment import factory, load_data
from crack_lightning.experiment.fit_end_to_end import DDPFit, SingleProcessFit
from crack_lightning.runtime.errors import DataError, Interrupted
from crack_lightning.training.stop_signals import StopSignals
from crack_lightning.training.warning_filters import filter_warnings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crack_lightning.data.table import TileTable
    from crack_lightning.model.classifier import CrackClassifier
    from crack_lightning.runtime.hardware import HardwarePlan

SETTINGS = [
    "data.synthetic.num_tiles=120",
    "data.synthetic.tile_px=64",
    "data.batch_size=8",
    "model=timm",
    "model.name=test_convnext",
    "model.head=pooled",  # neither has BatchNorm
    "model.drop_rate=0",
    "model.drop_path_rate=0",
    "model.image_size=32",
    "trainer.accelerator=cpu",
    "trainer.threads=2",
    "trainer.max_epochs=3",
    "optimizer.lr=1e-3",  # AdamW takes a whole step, of either sign, where a gradient is rounding alone
    "plugins=[tests.experiment.test_fit_end_to_end]",
    "callbacks=none",
    "+callbacks.stop._target_=tests.experiment.test_fit_end_to_end.StopsTheRun",
    "progress=false",
]
EPOCH_STEPS, STOP_AT = 10, 23


class StopsTheRun(pl.Callback):
    """Sends SIGTERM to the run's process from the second DDP worker."""

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_rank == 1 and trainer.global_step == STOP_AT - 1:
            os.kill(os.getppid(), signal.SIGTERM)
            time.sleep(
                2
            )  # the first worker waits with this one, and both receive the request after this step


class Run:
    """A run up to its first step."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        self.config = parse(compose_config("train", [*SETTINGS, *overrides]), TrainConfig)
        self.folder = folder
        folder.mkdir()
        self.config.optimizer.lr = self.config.learning_rate
        self.plan: HardwarePlan = factory.hardware_plan(self.config.trainer, num_workers=0)
        table, _ = load_data.read_tiles(self.config.data, threads=2, progress=False, near_duplicates=True)
        self.table: TileTable = load_data.split_tiles(
            table, self.config.data, splits_path=folder / "splits.csv"
        )

    def classifier(self) -> CrackClassifier:
        pl.seed_everything(0, verbose=False)
        return factory.build_classifier(self.config, self.table)

    def alone(self) -> list[dict[str, float]]:
        return self._fitted(SingleProcessFit, replace(self.plan, devices=1))

    def together(
        self, report: Callable[[float, dict[str, float]], bool] | None = None
    ) -> list[dict[str, float]]:
        return self._fitted(DDPFit, self.plan, report)

    def _fitted(
        self,
        kind: type[SingleProcessFit | DDPFit],
        plan: HardwarePlan,
        report: Callable[[float, dict[str, float]], bool] | None = None,
    ) -> list[dict[str, float]]:
        datamodule = factory.build_datamodule(self.config, self.table, plan=plan)
        with filter_warnings(), StopSignals() as requests:
            steps = kind(
                self.config, datamodule, folder=self.folder, plan=plan, requests=requests, report=report
            )
            return steps.fit(self.classifier())

    def last(self) -> dict[str, Any]:
        path = self.folder / "checkpoints" / "last.ckpt"
        checkpoint: dict[str, Any] = torch.load(path, weights_only=True)
        return checkpoint


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_and_one_resumes_their_run(tmp_path: Path) -> None:
    one = Run(tmp_path / "one")
    two = Run(tmp_path / "two", "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    reported: list[tuple[float, dict[str, float]]] = []

    def report(done: float, figures: dict[str, float]) -> bool:
        reported.append((done, figures))
        return False

    with pytest.raises(Interrupted, match="signal 15"):
        two.together(report)
    assert two.last()["global_step"] == STOP_AT
    assert sorted(path.name for path in (two.folder / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]

    history, expected = two.alone(), one.alone()
    assert [row["epoch"] for row in history] == [1, 2, 3]
    for (done, figures), row in zip(reported, history, strict=False):
        assert figures == {name: row[name] for name in figures}
        assert done == row["epoch"] / 3
    assert len(reported) == 2
    for row, other in zip(history, expected, strict=True):  # each tile was counted once, also across the stop
        assert row == pytest.approx(other, abs=1e-4)
    ours, theirs = two.last(), one.last()
    assert ours["global_step"] == theirs["global_step"] == EPOCH_STEPS * 3
    for name, weight in theirs["state_dict"].items():
        assert torch.allclose(ours["state_dict"][name], weight, rtol=0, atol=1e-4), name


def test_a_split_with_fewer_tiles_than_processes_is_refused(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "trainer.devices=2")
    kept = run.table.split != "val"
    kept[run.table.rows("val")[0]] = True
    run.table = run.table.select(kept)
    with pytest.raises(DataError, match="2 processes need a tile each, and 1 are in the split 'val'"):
        run.together()
