"""The pooled head: a network's own classifier after global pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from crack_lightning.model.backbones import build_backbone
from crack_lightning.model.backends.autocast import features_and_head

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn


class Pooled:
    """The pooled head; implements :class:`~crack_lightning.model.heads.protocol.Head`."""

    def build(
        self,
        name: str,
        *,
        positive_index: int | None,
        settings: Mapping[str, Any],
        **options: Any,
    ) -> nn.Module:
        """Return a network with its own classifier."""
        return build_backbone(name, **options)

    def supports(self, name: str) -> bool:
        """Return ``True``: every network has a classifier."""
        return True

    def pretrained_module(self, network: nn.Module) -> nn.Module:
        """Return the network."""
        return network

    def logits(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return logits, float ``(N, K)``."""
        if torch.is_autocast_enabled(images.device.type):
            return features_and_head(network, images)
        logits: Tensor = network(images)
        return logits

    def training_outputs(
        self,
        network: nn.Module,
        images: Tensor,
        masks: Tensor | None,
        known: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return logits, without a loss of the head's own."""
        return self.logits(network, images), None

    def cell_scorer(self, network: nn.Module) -> None:
        """Return ``None``: the head has no cells."""
