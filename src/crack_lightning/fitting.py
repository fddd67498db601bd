"""How a run's weights are learnt, and how its test tiles are told: step by step, or by kept features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from crack_lightning import assembly
from crack_lightning.evaluation.predictions import Predictions
from crack_lightning.model.checkpoints import load_classifier, read_checkpoint
from crack_lightning.training.checkpoints import BEST, RunCheckpoints, save_model
from crack_lightning.training.guards import FiniteLoss
from crack_lightning.training.seeds import StepSeeds

if TYPE_CHECKING:
    from pathlib import Path

    import pytorch_lightning as pl

    from crack_lightning.config import TrainConfig
    from crack_lightning.data.datamodule import CrackDataModule
    from crack_lightning.hardware import HardwarePlan
    from crack_lightning.model.classifier import CrackClassifier
    from crack_lightning.training.guards import StopRequests
    from crack_lightning.training.probe import Probe
    from crack_lightning.training.state import RunState


def by_steps(
    config: TrainConfig,
    datamodule: CrackDataModule,
    state: RunState,
    *,
    folder: Path,
    plan: HardwarePlan,
    requests: StopRequests,
) -> tuple[CrackClassifier, Predictions]:
    """Train step by step with Lightning's Trainer, and test the best checkpoint."""
    checkpoints = RunCheckpoints(
        folder / "checkpoints",
        monitor=config.trainer.monitor,
        every_s=config.trainer.checkpoint_every,
        requests=requests,
    )
    last = read_checkpoint(checkpoints.last_path) if checkpoints.last_path.exists() else None
    trainer = assembly.build_trainer(
        config,
        folder=folder,
        plan=plan,
        callbacks=[StepSeeds(config.seed), FiniteLoss(datamodule.table.path), checkpoints],
        purge_step=None if last is None else int(last["global_step"]),
    )
    if state.phase == "fit":
        classifier = assembly.build_classifier(config, datamodule.table)
        if last is None and config.recipe.name == "probe_then_finetune":
            told = _fitted_head(config, classifier, datamodule, state, plan=plan).facts()
            state.fitted = {key: told[key] for key in ("l2", "l2_tried")}
            state.write(folder)
        with state.timed("training"):
            trainer.fit(
                classifier,
                datamodule=datamodule,
                ckpt_path=None if last is None else str(checkpoints.last_path),
            )
        state.advance("test", folder, history=checkpoints.history)
    with state.timed("test"):
        classifier = load_classifier(checkpoints.best_path)
        return classifier, test(trainer, classifier, datamodule)


def by_features(
    config: TrainConfig, datamodule: CrackDataModule, state: RunState, *, folder: Path, plan: HardwarePlan
) -> tuple[CrackClassifier, Predictions]:
    """Fit the head on a frozen backbone's features, and test it on them."""
    best = folder / "checkpoints" / BEST
    if state.phase == "fit":
        classifier = assembly.build_classifier(config, datamodule.table)
        probe = _fitted_head(config, classifier, datamodule, state, plan=plan)
        save_model(classifier, best)
        state.fitted = probe.facts()
        state.advance("test", folder)
    else:
        classifier = load_classifier(best)
        probe = _probe(config, classifier, datamodule, state, plan=plan)
    with state.timed("test"):
        return classifier, probe.test()


def _probe(
    config: TrainConfig,
    classifier: CrackClassifier,
    datamodule: CrackDataModule,
    state: RunState,
    *,
    plan: HardwarePlan,
) -> Probe:
    with state.timed("features"):
        return assembly.build_probe(config, classifier, datamodule, plan=plan)


def _fitted_head(
    config: TrainConfig,
    classifier: CrackClassifier,
    datamodule: CrackDataModule,
    state: RunState,
    *,
    plan: HardwarePlan,
) -> Probe:
    """Give a classifier the head that fits its frozen backbone's features best."""
    probe = _probe(config, classifier, datamodule, state, plan=plan)
    with state.timed("head"):
        probe.fit(
            l2=config.recipe.l2,
            class_weights=classifier.loss.class_weights,
            max_iterations=config.head_iterations,
        )
    return probe


def test(trainer: pl.Trainer, classifier: CrackClassifier, datamodule: CrackDataModule) -> Predictions:
    """Return the classifier's predictions for every test tile."""
    trainer.test(classifier, dataloaders=datamodule.test_dataloader(), verbose=False)
    index, label, probability = (
        torch.cat(column).numpy() for column in zip(*classifier.predictions, strict=True)
    )
    return Predictions(index=index, label=label, probability=probability)
