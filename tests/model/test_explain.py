"""Maps of evidence add up to the answer, and are the class activation map where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from crack_lightning.model.explain import Explainer
from crack_lightning.runtime.errors import ConfigError
from tests.model.networks import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from crack_lightning.model.classifier import CrackClassifier

    Build = Callable[[str, list[str]], CrackClassifier]

PX = 64


@pytest.fixture
def classifier(build_classifier: Callable[..., CrackClassifier]) -> Build:
    """Build a classifier whose head has weights and biases to explain."""

    def build(name: str, class_names: list[str]) -> CrackClassifier:
        model = build_classifier(name=name, class_names=class_names, positive_class=None, image_size=PX)
        head = model.backbone.get_classifier()  # type: ignore[operator]
        nn.init.normal_(head.weight)
        nn.init.normal_(head.bias)
        return model.eval()

    return build


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randint(256, (2, 3, PX, PX), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NAMES)
def test_the_mean_of_a_map_is_the_log_odds(name: str, classifier: Build, images: Tensor) -> None:
    model = classifier(name, ["intact", "crack"])
    explainer = Explainer(model)
    maps = explainer(images, torch.tensor([1, 0]))
    with torch.inference_mode():
        odds = model(images).diff(dim=1)[:, 0] * torch.tensor([1, -1])
    torch.testing.assert_close(maps.mean(dim=(1, 2)), odds, atol=1e-3, rtol=1e-3)
    assert maps.shape == (2, 8, 8) or name == "plain_cnn"
    assert "stride 8" in explainer.method
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", ["mobilenetv2_100", "efficientnet_b0", "tf_efficientnet_lite0", "resnet18"])
def test_the_last_map_before_an_average_is_the_class_activation_map(
    name: str, classifier: Build, images: Tensor
) -> None:
    model = classifier(name, ["a", "b", "c"])
    explainer = Explainer(model, stride=32)
    assert explainer.method == "class activation map"
    head = model.backbone.get_classifier()  # type: ignore[operator]
    with torch.inference_mode():
        normalised = (images.float() / 255 - model.mean) / model.std
        features = model.backbone.forward_features(normalised)  # type: ignore[operator]
        logits = torch.einsum("nchw,kc->nkhw", features, head.weight) + head.bias.view(1, -1, 1, 1)
    expected = logits[:, 2] - (logits[:, 0] + logits[:, 1]) / 2
    maps = explainer(images, torch.full((2,), 2))
    torch.testing.assert_close(maps, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ["mobilenetv3_small_100", "convnext_atto"])
def test_a_head_that_does_more_than_average_has_no_class_activation_map(name: str, classifier: Build) -> None:
    assert "HiResCAM" in Explainer(classifier(name, ["intact", "crack"]), stride=32).method


def test_evidence_is_gradient_times_activation(classifier: Build, images: Tensor) -> None:
    model = classifier("resnet18", ["intact", "crack"])
    net: Any = model.backbone
    inputs = (images.float() / 255 - model.mean) / model.std
    at = net.layer2(net.layer1(net.maxpool(net.act1(net.bn1(net.conv1(inputs)))))).detach().requires_grad_()
    odds = net.forward_head(net.layer4(net.layer3(at))).diff(dim=1)[:, 0]
    (gradient,) = torch.autograd.grad(odds.sum(), at)
    evidence = (gradient * at).sum(dim=1).detach()
    maps = Explainer(model)(images, torch.tensor([1, 1]))
    deviation = evidence - evidence.mean(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(
        maps - maps.mean(dim=(1, 2), keepdim=True), 64 * deviation, atol=1e-3, rtol=1e-3
    )


def test_a_frozen_network_can_be_explained(classifier: Build, images: Tensor) -> None:
    model = classifier("resnet18", ["intact", "crack"])
    learning = Explainer(model)(images, torch.tensor([1, 1]))
    model.requires_grad_(requires_grad=False)
    torch.testing.assert_close(Explainer(model)(images, torch.tensor([1, 1])), learning)


@pytest.mark.parametrize("name", ["test_vit", "swin_tiny_patch4_window7_224"])
def test_a_network_without_such_maps_is_refused(name: str, classifier: Build) -> None:
    with pytest.raises(ConfigError, match=f"explain: the network '{name}' has no map"):
        Explainer(classifier(name, ["intact", "crack"]))


@pytest.mark.parametrize("name", ["plain_cnn", "resnet18"])
def test_an_explainer_reports_whether_its_network_takes_any_size(name: str, classifier: Build) -> None:
    assert Explainer(classifier(name, ["intact", "crack"])).any_size == (name != "plain_cnn")
