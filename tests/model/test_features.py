"""Features with the head are the classifier, and are computed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from crack_lightning.model.backends.inference_modules import FeatureNetwork, LogitNetwork, linear_head
from crack_lightning.model.features import cached_features
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crack_lightning.model.classifier import CrackClassifier

PX = 40


@pytest.mark.parametrize("name", ["plain_cnn", "mobilenetv2_100", "mobilenetv3_small_100", "resnet10t"])
def test_features_and_head_are_the_classifier(
    name: str, build_classifier: Callable[..., CrackClassifier]
) -> None:
    model = build_classifier(name=name, image_size=PX, recipe="probe")
    network = FeatureNetwork(model)
    images = torch.randint(256, (3, 3, PX, PX), dtype=torch.uint8)
    with torch.inference_mode():
        logits = linear_head(model.backbone)(network(images))
        torch.testing.assert_close(logits, model.eval()(images), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(LogitNetwork(model)(images), logits, atol=1e-5, rtol=1e-5)


def test_a_network_without_one_linear_layer_at_its_end_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"recipe: probe needs .* one linear layer, got Conv2d"):
        linear_head(_Ends(nn.Conv2d(3, 2, 1)))


class _Ends(nn.Module):
    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        self.last = last

    def get_classifier(self) -> nn.Module:
        return self.last


def test_features_are_computed_once_batch_by_batch(tmp_path: Path) -> None:
    asked: list[int] = []
    images = torch.randint(256, (7, 3, 4, 4), dtype=torch.uint8)

    def batches() -> Iterator[torch.Tensor]:
        for batch in torch.split(images, 3):
            asked.append(len(batch))
            yield batch.float().mean(dim=(2, 3))

    for _ in range(2):
        features = cached_features(batches(), number=7, fingerprint={"of": "noise"}, cache=tmp_path)
        np.testing.assert_array_equal(features, images.float().mean(dim=(2, 3)).numpy())
        assert isinstance(features, np.memmap)
    assert asked == [3, 3, 1]
