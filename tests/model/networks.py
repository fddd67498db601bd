"""Networks for the tests that fill them with weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crack_lightning.model.backbones import build_backbone


def build(name: str = "resnet18", *, num_classes: int = 2, image_size: int = 64, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_backbone(
        name, num_classes=num_classes, drop_rate=0.0, drop_path_rate=0.0, image_size=image_size
    )


def assert_same(model: nn.Module, wanted: dict[str, Tensor]) -> None:
    for key, value in model.state_dict().items():
        assert torch.equal(value, wanted[key]), key
