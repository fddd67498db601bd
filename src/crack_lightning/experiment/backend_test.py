"""Test predictions of an evaluation by the inference backend that ``predict`` would choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from crack_lightning.data.scan.progress import progress_bar
from crack_lightning.evaluation.predictions import Predictions
from crack_lightning.model.backends.inference_modules import inference_network
from crack_lightning.model.backends.select import prepare_backend
from crack_lightning.model.ood.image_statistics import image_statistics
from crack_lightning.runtime.cache import cache_folder

if TYPE_CHECKING:
    from crack_lightning.config import EvaluateConfig
    from crack_lightning.data.datamodule import CrackDataModule
    from crack_lightning.model.backends.registry import Compute
    from crack_lightning.model.backends.select import BackendChoice
    from crack_lightning.model.classifier import CrackClassifier
    from crack_lightning.runtime.hardware import HardwarePlan

MANY = 1000
"""Number of tiles from which a trial of the backends saves time."""


def chosen_backend(
    config: EvaluateConfig, classifier: CrackClassifier, *, tiles: int, plan: HardwarePlan
) -> tuple[BackendChoice, Compute] | None:
    """Return the backend of an evaluation, checked against PyTorch; ``None`` for a test by Lightning.

    Raises:
        ConfigError: If the backend is not installed, not of this machine, or cannot take the network.
    """
    plain = plan.accelerator == "gpu" or config.trainer.precision != "auto" or tiles < MANY
    if config.engine == "auto" and plain:
        return None
    return prepare_backend(
        inference_network(classifier),
        wanted=config.engine,
        image_size=int(classifier.hparams["image_size"]),
        threads=plan.threads,
        cache=cache_folder(),
        key="engine",
    )


def predictions_by(
    compute: Compute, classifier: CrackClassifier, datamodule: CrackDataModule, *, show_progress: bool
) -> Predictions:
    """Return the predictions for every test tile, calibrated, and their OOD scores."""
    loader, temperature = datamodule.test_dataloader(), float(classifier.hparams["temperature"])
    parts: list[tuple[torch.Tensor, ...]] = []
    for batch in progress_bar(loader, "Testing" if show_progress else None, total=len(loader)):
        outputs = compute(batch["image"])
        logits, features = outputs.tensor_split([len(classifier.hparams["class_names"])], dim=1)
        ood_score = torch.full((len(logits),), torch.nan)
        if classifier.ood_detector is not None:
            inputs = torch.cat([image_statistics(batch["image"]), features], dim=1)
            ood_score = classifier.ood_detector.score(inputs)
        parts.append((batch["index"], batch["target"], torch.softmax(logits / temperature, dim=1), ood_score))
    index, label, probability, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    ood_scores = None if classifier.ood_detector is None else scores
    return Predictions(index=index, label=label, probability=probability, ood_score=ood_scores)
