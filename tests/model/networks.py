"""Networks for the tests of the model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crack_lightning.model.backbones import build_backbone

NAMES = (
    "mobilenetv2_100",
    "mobilenetv3_small_100",
    "mobilenetv4_conv_small",
    "efficientnet_b0",
    "tf_efficientnet_lite0",
    "resnet18",
    "convnext_atto",
    "plain_cnn",
)
"""The networks of the option files."""


def build(
    name: str = "resnet18",
    *,
    num_classes: int = 2,
    image_size: int = 64,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    seed: int = 0,
) -> nn.Module:
    torch.manual_seed(seed)
    return build_backbone(
        name,
        num_classes=num_classes,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
        image_size=image_size,
    )


def assert_same(model: nn.Module, wanted: dict[str, Tensor]) -> None:
    for key, value in model.state_dict().items():
        assert torch.equal(value, wanted[key]), key
