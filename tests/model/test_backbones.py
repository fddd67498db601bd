from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from crack_lightning.model.backbones import (
    head_keys,
    head_modules,
    normalisation,
    split_parameters,
    synchronised,
)
from crack_lightning.runtime.errors import ConfigError
from tests.model.networks import NAMES, build


@pytest.mark.parametrize("name", NAMES)
def test_every_offered_network_learns_from_a_batch_in_channels_last(name: str) -> None:
    model = build(name, num_classes=3).to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    logits = model(images)
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        # Fused optimizers pair values by their place in memory.
        assert parameter.grad.stride() == parameter.stride(), key


@pytest.mark.parametrize("name", ["mobilenetv2_100", "mobilenetv3_small_100"])
def test_inverted_residual_blocks_start_as_the_identity(name: str) -> None:
    blocks = [block for block in build(name).modules() if getattr(block, "has_skip", False)]
    inverted = [block for block in blocks if hasattr(block, "conv_pwl")]
    assert len(inverted) >= 5
    for block in inverted:
        images = torch.randn(2, len(block.get_parameter("bn3.weight")), 8, 8)
        torch.testing.assert_close(block(images), images)


@pytest.mark.parametrize("name", ["mobilenetv2_100", "mobilenetv3_small_100", "efficientnet_b0"])
def test_no_activation_overwrites_an_input_that_its_gradient_needs(name: str) -> None:
    kinds = (nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Hardsigmoid)  # autograd would copy it first
    found = [module for module in build(name).modules() if isinstance(module, kinds)]
    assert len(found) >= 5
    for module in found:
        before = torch.randn(2, 3)
        given = before.clone()
        module(given)
        assert torch.equal(given, before)


@pytest.mark.parametrize("size", [96, 256])
def test_a_network_takes_the_sizes_that_tiles_have(size: int) -> None:
    with torch.no_grad():
        assert build("mobilenetv3_small_100").eval()(torch.zeros(1, 3, size, size)).shape == (1, 2)
        assert build("plain_cnn", image_size=size)(torch.zeros(1, 3, size, size)).shape == (1, 2)


@pytest.mark.parametrize("name", NAMES)
def test_the_parts_of_a_forward_pass_make_the_whole(name: str) -> None:
    model = build(name).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        features = model.forward_features(images)  # type: ignore[operator]
        pooled = model.forward_head(features, pre_logits=True)  # type: ignore[operator]
        torch.testing.assert_close(head_modules(model)[0](pooled), model(images))


def test_plain_cnn_has_the_layers_of_the_published_script() -> None:
    model = build("plain_cnn", image_size=256)
    convolutions = (3 * 9 + 1) * 16 + (16 * 9 + 1) * 32 + (32 * 9 + 1) * 32
    side = 30  # 256 → 254 → 127 → 125 → 62 → 60 → 30
    dense = (32 * side * side + 1) * 256 + (256 + 1) * 2
    assert sum(parameter.numel() for parameter in model.parameters()) == convolutions + dense


def test_plain_cnn_begins_as_keras_begins_it() -> None:
    model = build("plain_cnn", image_size=64)
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    limit = (6 / (3 * 9 + 16 * 9)) ** 0.5
    assert first.weight.abs().max() <= limit
    assert first.weight.abs().max() > 0.9 * limit
    assert not first.bias.any()  # type: ignore[union-attr]


def test_plain_cnn_refuses_a_picture_that_its_pooling_would_swallow() -> None:
    assert build("plain_cnn", image_size=22)(torch.zeros(1, 3, 22, 22)).shape == (1, 2)
    with pytest.raises(ConfigError, match=r"model\.image_size: .*got 21"):
        build("plain_cnn", image_size=21)


def test_a_network_of_fixed_size_is_built_for_the_tiles() -> None:
    model = build("vit_tiny_patch16_224", image_size=64)
    assert model.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 2)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("repvgg_a0", "'repvgg_a0' is refused"),
        ("nosuchnet", "got 'nosuchnet'"),
        ("hf-hub:timm/resnet18.a1_in1k", "got 'hf-hub:timm/resnet18.a1_in1k'"),
        ("local-dir:resnet18", "got 'local-dir:resnet18'"),
        ("resnet18.nosuchtag", "got 'resnet18.nosuchtag'"),
    ],
)
def test_a_name_that_cannot_be_built_safely_is_refused(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(name)


def test_a_network_that_does_not_take_an_option_says_so() -> None:
    with pytest.raises(ConfigError, match=r"'vgg11' with drop_path_rate=0\.1"):
        build("vgg11", drop_path_rate=0.1)


def test_dropout_and_stochastic_depth_reach_the_network() -> None:
    model = build("convnext_atto", drop_rate=0.25, drop_path_rate=0.5)
    drops = [m.p for m in model.modules() if isinstance(m, nn.Dropout)]
    assert 0.25 in drops
    paths = [m.drop_prob for m in model.modules() if type(m).__name__ == "DropPath"]
    assert 0.5 in paths


def test_normalisation_is_what_the_published_weights_expect() -> None:
    assert normalisation("resnet18") == (timm.data.IMAGENET_DEFAULT_MEAN, timm.data.IMAGENET_DEFAULT_STD)
    # TensorFlow's own: (value - 127.5) / 127.5
    assert normalisation("tf_efficientnet_lite0") == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert normalisation("plain_cnn") == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.mark.parametrize("name", [*NAMES, "deit_tiny_distilled_patch16_224"])
def test_the_head_is_what_depends_on_the_number_of_classes(name: str) -> None:
    two, five = build(name), build(name, num_classes=5)
    shapes = {key: value.shape for key, value in two.state_dict().items()}
    other = {key: value.shape for key, value in five.state_dict().items()}
    assert head_keys(two) == {key for key, shape in shapes.items() if other[key] != shape}
    backbone, head = split_parameters(two)
    assert sum(p.numel() for p in head) == sum(shapes[key].numel() for key in head_keys(two))
    assert len(backbone) + len(head) == len(list(two.parameters()))


@pytest.mark.parametrize("name", ["mobilenetv2_100", "efficientnet_b0", "resnet18", "plain_cnn"])
def test_synchronised_batchnorm_keeps_names_and_answers(name: str) -> None:
    model = build(name).eval()
    images = torch.randn(2, 3, 64, 64)
    before, keys = model(images), list(model.state_dict())
    converted = synchronised(model)
    assert list(converted.state_dict()) == keys
    torch.testing.assert_close(converted(images), before)
    norms = [layer for layer in converted.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    assert all(isinstance(layer, nn.SyncBatchNorm) for layer in norms)
    assert bool(norms) is (name != "plain_cnn")
