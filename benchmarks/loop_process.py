"""One training loop, measured in turns with others.

    python benchmarks/loop_process.py ours --data ../shared/data/metu

MobileNetV2 from scratch on METU's tiles with ``augmentation=standard``. ``ours`` is the product's Trainer,
DataModule and classifier; the other variants use only the settings in ``VARIANTS``, and otherwise the
defaults of torch, Lightning and their tutorials.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from turns import wait_for_turn

from crack_lightning.runtime import hardware

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from crack_lightning.config import TrainConfig
    from crack_lightning.data.datamodule import CrackDataModule
    from crack_lightning.data.table import TileTable
    from crack_lightning.model.classifier import CrackClassifier

SIZE, BATCH, STEPS = 160, 32, 10
"""Side of the tiles in pixels, tiles in a batch, steps in a turn."""

SETTINGS = {
    "channels_last": "channels_last memory",
    "allocator": "freed pages kept (mallopt)",
    "sleeping": "waiting threads sleep (GOMP_SPINCOUNT)",
    "batches": "a batch of bytes at a time, decoded by OpenCV, augmented as one",
}
VARIANTS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("ours", "split", "tensors", "by_hand", "by_hand_in_memory"), tuple(SETTINGS)),
    "defaults": (),
    **{f"only_{name}": (name,) for name in SETTINGS},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variant", choices=list(VARIANTS))
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    settings = VARIANTS[options.variant]
    if "sleeping" in settings:
        hardware.limit_omp_spin()  # before torch is imported
    configure_allocator = hardware.configure_allocator if "allocator" in settings else lambda: False
    with (
        patch.object(hardware, "configure_allocator", configure_allocator),
        tempfile.TemporaryDirectory() as folder,
    ):
        config = compose_config(options.data)
        if options.variant.startswith("by_hand"):
            _by_hand(config, in_memory=options.variant.endswith("in_memory"))
        else:
            _by_lightning(config, options.variant, Path(folder))


def compose_config(metu: Path) -> TrainConfig:
    """Return the configuration of the run, as composed by ``train``."""

    from crack_lightning.config import TrainConfig, compose_config, parse

    given = [
        *("model=mobilenetv2", f"model.image_size={SIZE}", "augmentation=standard", "progress=false"),
        *("data=metu", f"data.root={metu}", f"data.batch_size={BATCH}"),
        "trainer.checkpoint_every=1e9",  # no checkpoint while waiting for a turn
    ]
    config = parse(compose_config("train", given), TrainConfig)
    config.optimizer.lr = config.learning_rate
    return config


def _table(config: TrainConfig, folder: Path, *, threads: int) -> TileTable:
    from crack_lightning.experiment import load_data

    table, _ = load_data.read_tiles(config.data, threads=threads, progress=False)
    return load_data.split_tiles(table, config.data, splits_path=folder / "splits.csv")


def _by_lightning(config: TrainConfig, variant: str, folder: Path) -> None:
    from crack_lightning.experiment import factory
    from crack_lightning.experiment.trainers import build_trainer
    from crack_lightning.training.callbacks import FiniteLoss, StepSeeds
    from crack_lightning.training.checkpoints import RunCheckpoints
    from crack_lightning.training.stop_signals import StopSignals

    plan = factory.hardware_plan(config.trainer, num_workers=config.data.num_workers)
    table = _table(config, folder, threads=plan.threads)
    config.trainer.max_epochs = config.epochs_for(len(table.rows("train")))
    tiles = factory.build_datamodule(config, table, plan=plan)
    classifier = factory.build_classifier(config, table)
    _changed(tiles, classifier, variant)
    with StopSignals() as requests:
        checkpoints = RunCheckpoints(
            folder, monitor=config.trainer.monitor, every_s=config.trainer.checkpoint_every, requests=requests
        )
        trainer = build_trainer(
            config,
            folder=folder,
            plan=plan,
            callbacks=[
                *(StepSeeds(config.seed), FiniteLoss(table.path), checkpoints),
                *_turns(split=variant == "split"),
            ],
            purge_step=None,
        )
        trainer.fit(classifier, datamodule=tiles)


def _turns(*, split: bool) -> list[Any]:
    from pytorch_lightning import Callback
    from step_parts import StepParts

    parts = StepParts()

    class Turns(Callback):
        """Measures ``STEPS`` steps, then waits for the next turn."""

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            self._begin({})

        def on_train_batch_end(
            self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            if trainer.global_step % STEPS == 0:
                _finish()
                rate = STEPS * BATCH / (time.perf_counter() - self.began)
                self._begin({"rate": rate, "parts": parts.seconds if split else None})

        def _begin(self, measured: Mapping[str, Any]) -> None:
            wait_for_turn(measured)
            self.began = time.perf_counter()
            parts.start()

    return [parts, Turns()] if split else [Turns()]


def _finish() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _changed(tiles: CrackDataModule, classifier: CrackClassifier, variant: str) -> None:
    """Undo the settings of the data module and the classifier that the variant does not use."""
    import variants

    if variant == "tensors":
        variants.keep_in_memory(tiles)
    if "channels_last" not in VARIANTS[variant]:
        variants.make_contiguous(classifier)
    if "batches" not in VARIANTS[variant]:
        variants.read_tile_by_tile(tiles)


def _by_hand(config: TrainConfig, *, in_memory: bool) -> None:
    from dataclasses import asdict

    import torch
    from hand_written import train

    from crack_lightning.experiment import factory

    plan = factory.hardware_plan(config.trainer, num_workers=0)
    with tempfile.TemporaryDirectory() as folder:
        table = _table(config, Path(folder), threads=plan.threads)
    table = table.select(table.split == "train")
    steps: Any = train(
        [table.root / path for path in table.path.tolist()],
        torch.from_numpy(table.label),
        name=config.model.name,
        size=config.model.image_size,
        batch_size=config.data.batch_size,
        augmentation=factory.build_datamodule(config, table, plan=plan).augmentation,
        optimizer=asdict(config.optimizer),
        scheduler=asdict(config.scheduler),
        total_steps=config.epochs_for(len(table)) * (len(table) // config.data.batch_size),
        in_memory=in_memory,
    )
    measured: dict[str, float] = {}
    step: partial[Tensor] = partial(next, steps)
    while True:
        wait_for_turn(measured)
        began = time.perf_counter()
        for _ in range(STEPS):
            step()
        _finish()
        measured = {"rate": STEPS * BATCH / (time.perf_counter() - began)}


if __name__ == "__main__":
    main()
