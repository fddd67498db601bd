"""Networks with their normalisation folded in."""

from __future__ import annotations

import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

from crack_lightning.model.backends.fuse_conv_bn import fuse_conv_bn
from crack_lightning.model.heads.local import LocalNetwork


def trained(network: nn.Module) -> nn.Module:
    """Give normalisation statistics and scales that it could have learnt."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.running_var, module.weight):
                assert values is not None
                values.data = torch.rand(values.shape, generator=generator) + 0.5
            for values in (module.running_mean, module.bias):
                assert values is not None
                values.data = torch.randn(values.shape, generator=generator)
    return network.eval()


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet10t", "mobilenetv2_050"])
def test_a_folded_network_answers_the_same_without_normalisation(name: str) -> None:
    torch.manual_seed(0)
    options = {"num_classes": 2, "positive_index": 1, "drop_rate": 0.0, "drop_path_rate": 0.0}
    network = trained(LocalNetwork(name, **options, image_size=64))  # type: ignore[arg-type]
    torch.nn.init.normal_(network.head.cell.weight)  # type: ignore[union-attr, arg-type]
    images = torch.rand(2, 3, 96, 64)
    quick = fuse_conv_bn(network, images[:1, :, :64])
    with torch.inference_mode():
        torch.testing.assert_close(quick(images), network(images), rtol=1e-4, atol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in quick.modules())
    assert not any(isinstance(module, Conv2dSame) and module.stride == (2, 2) for module in quick.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


class Shared(nn.Module):
    """A convolution whose output goes around its normalisation, too."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        plain = self.convolution(images)
        both: Tensor = self.norm(plain) + plain
        return both


def test_a_convolution_that_others_use_too_is_left_alone() -> None:
    network, images = trained(Shared()), torch.rand(1, 3, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(fuse_conv_bn(network, images)(images), network(images))
