"""Evaluation of a checkpoint on another data set."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.config import write_config
from crack_lightning.data.loader_workers import explain_worker_failures
from crack_lightning.data.model_classes import ModelClasses
from crack_lightning.data.scan.prepare import describe
from crack_lightning.data.scan.progress import progress_bar
from crack_lightning.evaluation.predictions import Predictions
from crack_lightning.experiment import factory, fit, load_data
from crack_lightning.experiment.cluster_evaluation import predictions_on_cluster
from crack_lightning.experiment.decision import ood_facts
from crack_lightning.experiment.result import ExperimentResult
from crack_lightning.experiment.trainers import build_test_trainer
from crack_lightning.experiment.training_run import reproducible
from crack_lightning.inference.backend_choice import MANY, choose, is_untried
from crack_lightning.inference.predictor import Predictor
from crack_lightning.model.backbones import count_parameters
from crack_lightning.model.backends.inference_modules import inference_network
from crack_lightning.model.train_fingerprints import is_known
from crack_lightning.model.weights.checkpoints import load_classifier
from crack_lightning.report.explanations import explain_test_tiles
from crack_lightning.report.provenance import provenance
from crack_lightning.report.write import write_report
from crack_lightning.runtime.files.run_folder import ensure_folder, lock_folder, log_to
from crack_lightning.runtime.memory import explain_out_of_memory
from crack_lightning.training.state import RunState
from crack_lightning.training.warning_filters import filter_warnings

if TYPE_CHECKING:
    from crack_lightning.config import EvaluateConfig
    from crack_lightning.data.datamodule import CrackDataModule
    from crack_lightning.model.backends.select import BackendChoice
    from crack_lightning.model.classifier import CrackClassifier
    from crack_lightning.runtime.hardware import HardwarePlan

log = logging.getLogger(__name__)


def run_evaluation(
    config: EvaluateConfig, *, folder: Path | None = None, command: str = ""
) -> ExperimentResult:
    """Evaluate a checkpoint on another data set, without its own training and validation tiles.

    Args:
        config: Checked settings.
        folder: The evaluation's folder; a new one by default.
        command: The command line, for the report.

    Returns:
        The folder, its report and figures.

    Raises:
        CheckpointError: If the checkpoint cannot be used.
        DataError: If the data set cannot be read, has other classes, or only tiles of the model's training.
    """
    classifier = load_classifier(Path(config.checkpoint))
    folder = ensure_folder(folder, base=Path(config.outputs), name=f"evaluate_{config.data.source}")
    with (
        filter_warnings(),
        lock_folder(folder),
        log_to(folder / "run.log"),
        explain_worker_failures(),
    ):
        plan = factory.hardware_plan(config.trainer, num_workers=config.data.num_workers)
        config.trainer.threads = plan.threads
        write_config(config, folder / "config.yaml")
        log.info("machine: %s", plan.reason)
        with explain_out_of_memory(batch_size=config.data.batch_size, image_size=None):
            _run(config, classifier, folder=folder, plan=plan, command=command)
    return ExperimentResult.read(folder)


def _run(
    config: EvaluateConfig,
    classifier: CrackClassifier,
    *,
    folder: Path,
    plan: HardwarePlan,
    command: str,
) -> None:
    state = RunState()
    with state.timed("data"):
        model = ModelClasses(classifier.hparams["class_names"], classifier.hparams["positive_class"])
        table, skipped = load_data.read_tiles(
            config.data, threads=plan.threads, progress=config.progress, model=model
        )
        table, left_out = load_data.unseen_tiles(
            table, known=is_known(table.sha256.tolist(), classifier.train_fingerprints)
        )
    log.info("data: %s; left out: %d that the model was trained on", describe(table), left_out)
    with state.timed("test"):
        datamodule = factory.build_test_datamodule(config.data, classifier, table, plan=plan)
        predictions, choice = _test(config, classifier, datamodule, folder=folder, plan=plan)
    threshold = float(classifier.hparams["threshold"])
    with state.timed("explanations"):
        explanations = explain_test_tiles(classifier.to(plan.device), table, predictions, threshold=threshold)
    run_facts = provenance(
        command=command,
        settings=reproducible(config),
        num_parameters=count_parameters(classifier),
        plan=plan,
        excluded_files=skipped,
        seconds=state.seconds,
        backend=None if choice is None else f"{choice.backend.title} on {plan.device}",
        precision=None if choice is None else choice.precision,
    )
    checkpoint_facts = {"checkpoint": config.checkpoint, "excluded_training_tiles": left_out}
    write_report(
        folder,
        title=f"{classifier.hparams['label'] or classifier.hparams['name']} on {config.data.source}",
        predictions=predictions,
        table=table,
        provenance=checkpoint_facts | ood_facts(classifier) | run_facts,
        threshold=threshold,
        mm_per_px=config.data.mm_per_px,
        explanations=explanations,
    )


def _test(
    config: EvaluateConfig,
    classifier: CrackClassifier,
    datamodule: CrackDataModule,
    *,
    folder: Path,
    plan: HardwarePlan,
) -> tuple[Predictions, BackendChoice | None]:
    """Return calibrated predictions for every test tile, and the engine, ``None`` for Lightning's Trainer.

    Raises:
        ConfigError: If the engine is not installed, not supported here, or cannot run the network.
    """
    worth_trying = len(datamodule.table) >= MANY
    untried = is_untried(config, plan, worth_trying=worth_trying)
    if untried and not config.cluster.is_used:
        trainer = build_test_trainer(folder, plan=plan, progress=config.progress)
        return fit.test(trainer, classifier, datamodule), None
    choice, compute = choose(
        config,
        inference_network(classifier),
        plan=plan,
        image_size=int(classifier.hparams["image_size"]),
        worth_trying=worth_trying,
    )
    if config.cluster.is_used:
        predictions = predictions_on_cluster(
            classifier,
            datamodule,
            engine=config.engine if untried else choice.name,
            threads=plan.threads,
            shard_size=config.cluster.tiles_a_shard,
            reservation=config.cluster.reservation(plan.threads),
            folder=folder,
            show_progress=config.progress,
        )
        return predictions, choice
    predictor, batches = Predictor(classifier, compute=compute), datamodule.test_dataloader()
    parts = [
        (batch["index"], batch["target"], *predictor.classify(batch["image"]))
        for batch in progress_bar(batches, "Testing" if config.progress else None, total=len(batches))
    ]
    index, label, probability, ood_score = (np.concatenate(column) for column in zip(*parts, strict=True))
    has_scores = classifier.ood_detector is not None
    predictions = Predictions(
        index=index, label=label, probability=probability, ood_score=ood_score if has_scores else None
    )
    return predictions, choice
