"""Training end to end and test of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from crack_lightning.evaluation.predictions import Predictions
from crack_lightning.experiment import factory
from crack_lightning.experiment.decision import choose_decision, weights_caution
from crack_lightning.experiment.fit_end_to_end import DDPFit, SingleProcessFit
from crack_lightning.experiment.fit_probe import fit_head
from crack_lightning.model.backbones import uses_batch_statistics
from crack_lightning.model.backends.inference_modules import collect_features
from crack_lightning.model.ood.detector import OODDetector, sample
from crack_lightning.model.ood.image_statistics import image_statistics
from crack_lightning.model.weights.checkpoints import BEST, LAST, load_classifier, save_decision
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import pytorch_lightning as pl

    from crack_lightning.config import TrainConfig
    from crack_lightning.data.datamodule import CrackDataModule
    from crack_lightning.experiment.fit_end_to_end import Report
    from crack_lightning.model.classifier import CrackClassifier
    from crack_lightning.runtime.hardware import HardwarePlan
    from crack_lightning.training.hosts import HostStore
    from crack_lightning.training.state import RunState
    from crack_lightning.training.stop_signals import StopSignals


def fit_end_to_end(
    config: TrainConfig,
    datamodule: CrackDataModule,
    state: RunState,
    *,
    folder: Path,
    plan: HardwarePlan,
    requests: StopSignals,
    report: Report | None,
    store: HostStore | None = None,
) -> tuple[CrackClassifier, Predictions]:
    """Train step by step with Lightning's Trainer, and test the best checkpoint.

    Whatever the number of devices, the test runs in this process, on one of them, each tile once.
    """
    best = folder / "checkpoints" / BEST
    training: SingleProcessFit | DDPFit
    if plan.processes == 1:
        training = SingleProcessFit(
            config, datamodule, folder=folder, plan=plan, requests=requests, report=report
        )
    else:
        training = DDPFit(
            config, datamodule, folder=folder, plan=plan, requests=requests, report=report, store=store
        )
    if state.phase == "fit":
        classifier = factory.build_classifier(config, datamodule.table)
        require_batch_statistics(config, classifier, num_train_tiles=len(datamodule.table.rows("train")))
        state.fitted |= weights_caution(classifier)
        has_checkpoint = (folder / "checkpoints" / LAST).exists()
        if not has_checkpoint and config.recipe.name == "probe_then_finetune":
            _fit_initial_head(config, classifier, datamodule, state, plan=plan)
            state.write(folder)
        with state.timed("training"):
            history = training.fit(classifier)
        state.advance("test", folder, history=history)
    with state.timed("validation"):
        classifier = load_classifier(best)
        classifier.ood_detector, validation = _fit_ood_detector(
            config, training.trainer, classifier, datamodule
        )
        choose_decision(config, classifier, datamodule.table, state, validation)
        save_decision(classifier, best)
    with state.timed("test"):
        return classifier, test(training.trainer, classifier, datamodule)


def require_batch_statistics(
    config: TrainConfig, classifier: CrackClassifier, *, num_train_tiles: int
) -> None:
    """Refuse batches of one tile if the model has BatchNorm, which needs statistics over several.

    Raises:
        ConfigError: If a device gets a single tile per step.
    """
    devices = 1 if config.trainer.sync_batchnorm else (config.trainer.devices or 1) * config.trainer.nodes
    tiles = min(config.data.batch_size, num_train_tiles) // devices
    was_training = classifier.training
    needs_statistics = uses_batch_statistics(classifier.train())
    classifier.train(was_training)
    if tiles > 1 or not needs_statistics:
        return
    each = f" for each of trainer.devices={config.trainer.devices}" if devices > 1 else ""
    each += f" on trainer.nodes={config.trainer.nodes}" if config.trainer.nodes > 1 else ""
    raise ConfigError(
        f"data.batch_size: expected at least 2 tiles a step{each}, of which BatchNorm in {config.model.name} "
        f"takes statistics, got data.batch_size={config.data.batch_size} and {num_train_tiles} training "
        f"tiles; set data.batch_size={2 * devices}, or use one without BatchNorm, as in model=convnext_atto."
    )


def _fit_ood_detector(
    config: TrainConfig, trainer: pl.Trainer, classifier: CrackClassifier, datamodule: CrackDataModule
) -> tuple[OODDetector, Predictions]:
    """Return the fitted OOD detector, and the uncalibrated validation predictions."""
    training: list[torch.Tensor] = []
    rows = sample(datamodule.split_rows("train"), seed=config.seed)
    _predict(trainer, classifier, datamodule.single_pass(rows), on_ood_inputs=training.append)
    detector = OODDetector.from_training(torch.cat(training))
    distances: list[list[torch.Tensor]] = []
    validation = _predict(
        trainer,
        classifier,
        datamodule.single_val_pass(),
        on_ood_inputs=lambda inputs: distances.append(detector.distances(inputs)),
    )
    return detector.with_limit([torch.cat(column) for column in zip(*distances, strict=True)]), validation


def _predict(
    trainer: pl.Trainer,
    classifier: CrackClassifier,
    batches: Iterable[dict[str, torch.Tensor]],
    *,
    on_ood_inputs: Callable[[torch.Tensor], object],
) -> Predictions:
    """Return uncalibrated predictions; pass each batch's inputs of the OOD detector to a callback.

    These are image statistics, then features where there are any, float32 ``(N, NUM_STATISTICS + D)``.
    """
    device = trainer.strategy.root_device
    classifier.to(device).eval()
    columns: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    # Lightning's predict would distribute the batches among devices
    with torch.inference_mode(), trainer.precision_plugin.forward_context():
        for batch in batches:
            with collect_features(classifier) as features:
                probabilities = torch.softmax(classifier(batch["image"].to(device)).float(), dim=1)
            columns.append((batch["index"], batch["target"], probabilities.cpu()))
            on_ood_inputs(torch.cat([image_statistics(batch["image"]), *features], dim=1))
    index, label, probability = (torch.cat(column).numpy() for column in zip(*columns, strict=True))
    return Predictions(index=index, label=label, probability=probability)


def _fit_initial_head(
    config: TrainConfig,
    classifier: CrackClassifier,
    datamodule: CrackDataModule,
    state: RunState,
    *,
    plan: HardwarePlan,
) -> None:
    """Fit the head from which training end to end continues."""
    with state.timed("features"):
        probe = factory.build_probe(config, classifier, datamodule, plan=plan)
    fit_head(probe, config, state)
    facts = probe.facts()
    state.fitted |= {key: facts[key] for key in ("l2", "l2_tried")}


def test(trainer: pl.Trainer, classifier: CrackClassifier, datamodule: CrackDataModule) -> Predictions:
    """Return the classifier's predictions for every test tile."""
    trainer.test(classifier, dataloaders=datamodule.test_dataloader(), verbose=False)
    index, label, probability = (
        torch.cat(column).numpy() for column in zip(*classifier.predictions, strict=True)
    )
    return Predictions(
        index=index,
        label=label,
        probability=probability,
        ood_score=None if classifier.ood_detector is None else torch.cat(classifier.ood_scores).numpy(),
    )
