"""Batches that BatchNorm cannot normalise are refused before the first step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from crack_lightning.config.nodes.data import DataConfig
from crack_lightning.config.nodes.train import TrainConfig
from crack_lightning.config.nodes.trainer import TrainerConfig
from crack_lightning.experiment.fit import require_batch_statistics
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from crack_lightning.model.classifier import CrackClassifier

BATCH_NORM, NONE = "test_efficientnet", "test_convnext"


@pytest.mark.parametrize(
    ("name", "recipe", "batch_size", "devices", "tiles", "refused"),
    [
        (BATCH_NORM, "scratch", 1, 1, 100, True),
        (BATCH_NORM, "finetune", 1, 1, 100, True),
        (BATCH_NORM, "scratch", 2, 2, 100, True),
        (BATCH_NORM, "scratch", 32, 2, 3, True),
        (BATCH_NORM, "scratch", 2, 1, 100, False),
        (BATCH_NORM, "scratch", 4, 2, 100, False),
        (BATCH_NORM, "frozen", 1, 1, 100, False),
        (BATCH_NORM, "probe_then_finetune", 1, 1, 100, False),
        (NONE, "scratch", 1, 1, 100, False),
    ],
)
def test_batches_of_one_tile_are_refused_where_batch_norm_needs_their_statistics(
    name: str,
    recipe: str,
    batch_size: int,
    devices: int,
    tiles: int,
    *,
    refused: bool,
    build_classifier: Callable[..., CrackClassifier],
) -> None:
    classifier = build_classifier(name=name, recipe=recipe, image_size=32)
    config = TrainConfig(data=DataConfig(batch_size=batch_size), trainer=TrainerConfig(devices=devices))
    if not refused:
        require_batch_statistics(config, classifier, num_train_tiles=tiles)
        assert classifier.training
        classifier.train()(torch.zeros(max(1, batch_size // devices), 3, 32, 32))  # torch does not refuse it
        return
    with pytest.raises(
        ConfigError, match=rf"data\.batch_size: .* got data\.batch_size={batch_size} "
    ) as raised:
        require_batch_statistics(config, classifier, num_train_tiles=tiles)
    assert f"set data.batch_size={2 * devices}, or" in str(raised.value)
    assert ("for each of trainer.devices=2" in str(raised.value)) == (devices == 2)
