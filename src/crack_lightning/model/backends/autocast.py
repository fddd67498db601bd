"""Autocast with heads in float32, as scores in bf16 would have eight bits and many ties."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn


def float32_from_here(inputs: Tensor) -> AbstractContextManager[object]:
    """Return a context in which autocast is off on the device of a tensor; nothing changes without autocast.

    What is computed in it must be given float32.
    """
    kind = inputs.device.type
    if kind == "meta" or not torch.is_autocast_enabled(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)


def features_and_head(backbone: nn.Module, inputs: Tensor, *, pre_logits: bool = False) -> Tensor:
    """Return the logits of a network of timm, or the inputs of its last layer; the head computes in float32.

    Args:
        backbone: With ``forward_features`` and ``forward_head``.
        inputs: Normalised images, float ``(N, 3, H, W)``.
        pre_logits: Whether to stop before the last layer.

    Returns:
        Logits, float ``(N, K)``, or features, float ``(N, D)``.
    """
    maps = backbone.forward_features(inputs)  # type: ignore[operator]
    with float32_from_here(inputs):
        outputs: Tensor = backbone.forward_head(maps.float(), pre_logits=pre_logits)  # type: ignore[operator]
        return outputs
