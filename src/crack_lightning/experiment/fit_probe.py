"""Fit and test of a linear probe, without Lightning, whose import takes longer than the fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crack_lightning.experiment import factory
from crack_lightning.experiment.decision import choose_decision, weights_caution
from crack_lightning.model.weights.checkpoints import BEST, load_trained, save_decision, save_model
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.hardware import has_native_bf16

if TYPE_CHECKING:
    from pathlib import Path

    from crack_lightning.config import TrainConfig
    from crack_lightning.data.split_tiles import SplitTiles
    from crack_lightning.evaluation.predictions import Predictions
    from crack_lightning.model.backends.inference_model import InferenceModel
    from crack_lightning.runtime.hardware import HardwarePlan
    from crack_lightning.training.probe import LinearProbe
    from crack_lightning.training.state import RunState


def fit_linear_probe(
    config: TrainConfig, tiles: SplitTiles, state: RunState, *, folder: Path, plan: HardwarePlan
) -> tuple[InferenceModel, Predictions]:
    """Fit the head on features of the frozen backbone, and test it on features.

    Raises:
        ConfigError: If ``trainer.precision`` is set on the CPU.
    """
    if plan.accelerator == "cpu" and plan.precision != "32":
        engine = "set recipe.engine=eager_bf16, or " if has_native_bf16() else ""
        raise ConfigError(
            "trainer.precision: on the CPU recipe.engine sets the precision of recipe=probe, got "
            f"{plan.precision}; {engine}leave it out."
        )
    best = folder / "checkpoints" / BEST
    is_new = state.phase == "fit"
    classifier = factory.build_inference_model(config, tiles.table) if is_new else load_trained(best)
    with state.timed("features"):
        probe = factory.build_probe(config, classifier, tiles, plan=plan)
    if is_new:
        fit_head(probe, config, state)
        save_model(classifier, best)
        state.fitted = probe.facts() | weights_caution(classifier)
        state.advance("test", folder)
    with state.timed("test"):
        classifier.hparams["temperature"] = 1.0
        choose_decision(config, classifier, tiles.table, state, probe.predictions("val"))
        classifier.ood_detector = probe.fit_ood_detector()
        save_decision(classifier, best)
        return classifier, probe.predictions("test")


def fit_head(probe: LinearProbe, config: TrainConfig, state: RunState) -> None:
    """Fit the classifier's head on the features of its frozen backbone."""
    with state.timed("head"):
        probe.fit(
            l2=config.recipe.l2,
            class_weights=probe.classifier.hparams["loss"]["class_weights"],
            max_iterations=config.head_iterations,
        )
