"""Temperature and threshold of a fitted classifier, and facts of its fit for the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.evaluation.metrics.scoring_rules import log_loss
from crack_lightning.evaluation.thresholds import decide

if TYPE_CHECKING:
    from crack_lightning.config import TrainConfig
    from crack_lightning.data.table import TileTable
    from crack_lightning.evaluation.predictions import Predictions
    from crack_lightning.model.backends.inference_model import InferenceParts
    from crack_lightning.training.state import RunState


def choose_decision(
    config: TrainConfig,
    classifier: InferenceParts,
    table: TileTable,
    state: RunState,
    validation: Predictions,
) -> None:
    """Set the temperature and the threshold of a classifier from its validation tiles."""
    decision = decide(
        validation,
        table.group[validation.index],
        positive=table.positive_index if len(table.class_names) == 2 else None,
        rule=config.evaluation.threshold,
        calibrate=config.evaluation.calibrate,
    )
    classifier.hparams.update({"temperature": decision.temperature, "threshold": decision.threshold})
    is_correct = validation.probability.argmax(axis=1) == validation.label
    loss = log_loss(validation.label, validation.probability)
    state.validation = {"val/loss": loss, "val/accuracy": float(is_correct.mean())}
    facts = {key: getattr(decision, key) for key in ("temperature", "threshold", "notes")}
    state.fitted = state.fitted | {"decision": facts | decision.facts}


def weights_caution(classifier: InferenceParts) -> dict[str, Any]:
    """Return the warning about weights that a file lacked, for the report."""
    warning = classifier.weights_caution
    return {} if warning is None else {"weights_warning": warning}


def ood_facts(classifier: InferenceParts) -> dict[str, Any]:
    """Return the facts of a model's OOD detector for the report."""
    return {} if classifier.ood_detector is None else {"ood_detector": classifier.ood_detector.facts()}
