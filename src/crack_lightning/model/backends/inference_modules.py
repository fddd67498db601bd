"""Inference modules: uint8 images to logits, features or cells, without the parts of training."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from crack_lightning.model.backbones import head_keys, head_modules
from crack_lightning.model.backends.autocast import disable_autocast, features_and_head
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crack_lightning.model.backends.inference_model import InferenceParts


class LogitNetwork(nn.Module):
    """A classifier in evaluation mode, with its normalisation.

    Attributes:
        unused: Names of parameters without influence on the outputs.
    """

    unused: frozenset[str] = frozenset()

    def __init__(self, classifier: InferenceParts) -> None:
        super().__init__()
        self.head, self.backbone = classifier.head, classifier.backbone
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", classifier.mean)
        self.register_buffer("std", classifier.std)
        self.eval()

    def normalised(self, images: Tensor) -> Tensor:
        """Return normalised images, float ``(N, 3, S, S)``, channels last."""
        return ((images.float() / 255 - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float ``(N, K)``, of images, uint8 ``(N, 3, S, S)``."""
        return self.head.logits(self.backbone, self.normalised(images))


class CellNetwork(LogitNetwork):
    """A classifier without the pooling of its cells."""

    def forward(self, images: Tensor) -> Tensor:
        """Return a logit per cell, float ``(N, 1, h, w)``, of images, uint8 ``(N, 3, H, W)`` of any size."""
        scorer = self.head.cell_scorer(self.backbone)
        assert scorer is not None, "a head with cells"
        return scorer.cells(self.normalised(images))


class FeatureNetwork(LogitNetwork):
    """A classifier without its last layer.

    Raises:
        ConfigError: If the last layer is not a single linear layer.
    """

    def __init__(self, classifier: InferenceParts) -> None:
        linear_head(classifier.backbone)
        super().__init__(classifier)
        self.unused = frozenset(f"backbone.{name}" for name in head_keys(classifier.backbone))

    def forward(self, images: Tensor) -> Tensor:
        """Return features, float ``(N, D)``, of images, uint8 ``(N, 3, S, S)``."""
        return features_and_head(self.backbone, self.normalised(images), pre_logits=True)


class InferenceNetwork(FeatureNetwork):
    """A classifier that returns logits and features of one forward pass."""

    def __init__(self, classifier: InferenceParts) -> None:
        super().__init__(classifier)
        self.unused = frozenset()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits and features, float ``(N, K + D)``, of images, uint8 ``(N, 3, S, S)``."""
        features = super().forward(images)
        with disable_autocast(images):
            return torch.cat([linear_head(self.backbone)(features), features], dim=1)


def inference_network(classifier: InferenceParts) -> LogitNetwork:
    """Return a module for a classifier's logits, followed by features where the OOD detector reads them."""
    reads_features = classifier.ood_detector is not None and classifier.ood_detector.features.shape[1] > 0
    return InferenceNetwork(classifier) if reads_features else LogitNetwork(classifier)


@contextmanager
def collect_features(classifier: InferenceParts) -> Iterator[list[Tensor]]:
    """Collect the inputs of a classifier's last layer while the block runs.

    Yields:
        One tensor per batch, float32 ``(N, D)``; none for a network without a single last linear layer.
    """
    features: list[Tensor] = []

    def append_inputs(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        features.append(inputs[0].detach().float().cpu())

    last = head_modules(classifier.backbone)
    linear = len(last) == 1 and isinstance(last[0], nn.Linear)
    hooks = [last[0].register_forward_pre_hook(append_inputs)] if linear else []
    try:
        yield features
    finally:
        for hook in hooks:
            hook.remove()


def linear_head(backbone: nn.Module) -> nn.Linear:
    """Return a network's last layer.

    Raises:
        ConfigError: If it is not a single linear layer.
    """
    modules = head_modules(backbone)
    if len(modules) != 1 or not isinstance(modules[0], nn.Linear):
        kinds = ", ".join(type(module).__name__ for module in modules)
        raise ConfigError(
            f"recipe: probe needs a network that ends in one linear layer, got {kinds}; "
            "use recipe=finetune, or another model."
        )
    return modules[0]
