"""Autocast with heads in float32, as scores in bf16 would have eight bits and many ties."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn


def disable_autocast(inputs: Tensor) -> AbstractContextManager[object]:
    """Return a context without autocast on the device of a tensor.

    Inputs of its operations must be float32.
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
    with disable_autocast(inputs):
        outputs: Tensor = backbone.forward_head(maps.float(), pre_logits=pre_logits)  # type: ignore[operator]
        return outputs
