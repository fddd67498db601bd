"""Lightning's Trainer as a run builds it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.callbacks.progress.progress_bar import get_standard_metrics

from crack_lightning.config import TrainConfig
from crack_lightning.experiment.loggers import tensorboard_loggers
from crack_lightning.experiment.trainers import build_test_trainer, build_trainer
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.hardware import plan_hardware

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytorch_lightning import Trainer

BAR = {"_target_": "pytorch_lightning.callbacks.RichProgressBar"}
OTHER_BAR = {"_target_": "pytorch_lightning.callbacks.TQDMProgressBar"}
RATE = {"_target_": "pytorch_lightning.callbacks.LearningRateMonitor"}
KEPT = {"_target_": "pytorch_lightning.callbacks.ModelCheckpoint", "save_last": True}
TENSORBOARD = {"_target_": "pytorch_lightning.loggers.TensorBoardLogger"}
CSV = {"_target_": "pytorch_lightning.loggers.CSVLogger"}


def trainer_of(folder: Path, **settings: Any) -> Trainer:
    plan = plan_hardware(accelerator="cpu", precision="auto", threads=1, num_workers=0)
    config = TrainConfig(**{"callbacks": {}, "logger": {}} | settings)
    return build_trainer(config, folder=folder, plan=plan, callbacks=[], purge_step=None)


def evaluation_trainer_of(folder: Path) -> Trainer:
    plan = plan_hardware(accelerator="cpu", precision="auto", threads=1, num_workers=0)
    return build_test_trainer(folder, plan=plan, progress=False)


def test_a_progress_bar_shows_figures_alone_and_tensorboard_has_its_folder(tmp_path: Path) -> None:
    plan = plan_hardware(accelerator="cpu", precision="auto", threads=1, num_workers=0)
    trainer = build_test_trainer(tmp_path, plan=plan, progress=True, logger={"tensorboard": TENSORBOARD})
    assert get_standard_metrics(trainer) == {}  # else the end of a version, as "v_num"
    assert trainer.log_dir is not None
    assert Path(trainer.log_dir) == tmp_path / "tensorboard"


@pytest.mark.parametrize(
    ("callbacks", "progress", "shown"),
    [
        ({"progress_bar": BAR}, True, "RichProgressBar"),
        ({"progress_bar": None}, True, None),
        ({"progress_bar": None, "mine": OTHER_BAR}, True, "TQDMProgressBar"),
        ({"mine": OTHER_BAR}, True, "TQDMProgressBar"),
        ({"mine": OTHER_BAR}, False, None),
        ({"progress": RATE}, True, None),
    ],
)
def test_a_progress_bar_is_recognised_by_its_class(
    callbacks: dict[str, Any],
    progress: bool,  # noqa: FBT001
    shown: str | None,
    tmp_path: Path,
) -> None:
    trainer = trainer_of(tmp_path, callbacks=callbacks, logger={"a": CSV}, progress=progress)
    bar = trainer.progress_bar_callback
    assert (None if bar is None else type(bar).__name__) == shown


def test_two_progress_bars_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one progress bar is expected, got progress_bar, mine; set callb"):
        trainer_of(tmp_path, callbacks={"progress_bar": BAR, "mine": OTHER_BAR})


@pytest.mark.parametrize("logger", [{}, {"tensorboard": None}])
def test_without_a_logger_no_callback_needs_one(logger: dict[str, Any], tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, callbacks={"rate": RATE}, logger=logger)
    assert not trainer.loggers
    assert not [item for item in trainer.callbacks if isinstance(item, LearningRateMonitor)]  # type: ignore[attr-defined]


def test_tensorboard_is_recognised_by_its_class() -> None:
    logger = {"tensorboard": None, "curves": TENSORBOARD, "tensorboard_2": CSV}
    assert tensorboard_loggers(TrainConfig(logger=logger)) == {"curves": TENSORBOARD}


def test_another_checkpoint_has_a_folder_of_its_own(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, callbacks={"mine": KEPT})
    [kept] = [item for item in trainer.callbacks if isinstance(item, ModelCheckpoint)]  # type: ignore[attr-defined]
    assert kept.dirpath == str(tmp_path / "callbacks")


@pytest.mark.parametrize("build", [trainer_of, evaluation_trainer_of])
def test_lightning_is_silenced_though_its_import_sets_the_level_of_its_logger(
    build: Callable[[Path], Trainer], tmp_path: Path
) -> None:
    lightning = logging.getLogger("pytorch_lightning")
    lightning.setLevel(logging.INFO)
    build(tmp_path)
    assert lightning.level == logging.WARNING
