"""Lightning's Trainer as a run builds it."""

from __future__ import annotations

from pathlib import Path

from pytorch_lightning.callbacks.progress.progress_bar import get_standard_metrics

from crack_lightning.experiment.trainers import build_test_trainer
from crack_lightning.hardware import plan_hardware


def test_a_progress_bar_shows_figures_alone_and_tensorboard_has_its_folder(tmp_path: Path) -> None:
    plan = plan_hardware(accelerator="cpu", precision="auto", threads=1, num_workers=0)
    logger = {"tensorboard": {"_target_": "pytorch_lightning.loggers.TensorBoardLogger"}}
    trainer = build_test_trainer(tmp_path, plan=plan, progress=True, logger=logger)
    assert get_standard_metrics(trainer) == {}  # else the end of a version, as "v_num"
    assert trainer.log_dir is not None
    assert Path(trainer.log_dir) == tmp_path / "tensorboard"
