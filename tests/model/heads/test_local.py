"""A local head tells where a crack is, whatever the backbone, and learns from masks that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from crack_lightning.model.backends.engines.eager import eager
from crack_lightning.model.backends.inference_model import InferenceModel
from crack_lightning.model.backends.inference_modules import FeatureNetwork, LogitNetwork
from crack_lightning.model.backends.select import prepare_backend
from crack_lightning.model.explain import build_explainer
from crack_lightning.model.heads.local import (
    Local,
    LocalNetwork,
    cell_loss,
    topk_mean,
)
from crack_lightning.model.heads.protocol import CELL_PX
from crack_lightning.model.weights.load import load_weights
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crack_lightning.model.classifier import CrackClassifier

    Build = Callable[..., CrackClassifier]

NAMES = ["mobilenetv3_small_050", "resnet10t", "convnext_atto", "tf_efficientnet_lite0"]


def build(name: str = "mobilenetv3_small_050", **changes: Any) -> LocalNetwork:
    plain: dict[str, Any] = {
        "num_classes": 2,
        "positive_index": 1,
        "drop_rate": 0.0,
        "drop_path_rate": 0.0,
        "image_size": 64,
    }
    torch.manual_seed(0)
    network = LocalNetwork(name, **plain | changes)
    torch.nn.init.normal_(network.head.cell.weight)  # zero at first, so that all cells are alike
    return network


@pytest.fixture
def classifier(build_classifier: Build) -> Build:
    """Build a classifier with a local head."""
    plain = {"name": "mobilenetv3_small_050", "image_size": 64, "recipe": "frozen", "head": "local"}

    def with_local_head(**changes: Any) -> CrackClassifier:
        model = build_classifier(**plain | changes)
        assert isinstance(model.backbone, LocalNetwork)
        torch.manual_seed(0)
        torch.nn.init.normal_(model.backbone.head.cell.weight)
        return model

    return with_local_head


def test_networks_with_features_of_its_strides_support_a_local_head() -> None:
    others = ["vit_tiny_patch16_224", "plain_cnn"]
    assert [name for name in [*NAMES, *others] if Local().supports(name)] == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", [64, 75])
def test_every_eight_pixels_have_a_logit_whatever_the_backbone(name: str, side: int) -> None:
    network = build(name).eval()
    images = torch.randn(2, 3, side, side)
    cells = network.cells(images)
    assert cells.shape == (2, 1, -(-side // CELL_PX), -(-side // CELL_PX))
    logits = network(images)
    assert cells.std() > 0.01
    strongest = (
        cells.flatten(1).sort(descending=True).values[:, :2].mean(dim=1)
    )  # 3 % of 8 x 8, whatever the side
    torch.testing.assert_close(logits[:, 1] - logits[:, 0], strongest)


def test_the_score_belongs_to_the_positive_class_wherever_it_is() -> None:
    images = torch.randn(2, 3, 64, 64)
    first, second = (build(positive_index=index).eval()(images) for index in (0, 1))
    torch.testing.assert_close(first, second.flip(1))


def test_the_score_is_the_mean_of_the_strongest_cells() -> None:
    cells = torch.randn(3, 1, 28, 28)
    largest = np.sort(cells.numpy().reshape(3, -1), axis=1)[:, -24:]
    np.testing.assert_allclose(topk_mean(cells), largest.mean(axis=1), rtol=1e-5)
    assert topk_mean(torch.randn(1, 1, 2, 2)).shape == (1,)


def test_a_classifier_scores_tiles_by_its_own_share_of_cells(classifier: Build) -> None:
    model = classifier(top_k_fraction=0.25).eval()
    assert isinstance(model.backbone, LocalNetwork)
    images = batch()["image"]
    cells = model.backbone.cells(model._normalised(images)).detach().numpy()
    largest = np.sort(cells.reshape(4, 64), axis=1)[:, -16:].mean(axis=1)
    alone = InferenceModel(**model.hparams)
    alone.load_state_dict(model.state_dict(), strict=False)
    for logits in (model(images), eager(LogitNetwork(alone.eval()))(images)):
        score = (logits[:, 1] - logits[:, 0]).detach()
        np.testing.assert_allclose(score, largest, rtol=1e-4, atol=1e-5)


def test_tiles_of_a_smaller_size_are_scored_by_as_many_cells(classifier: Build) -> None:
    network = classifier(image_size=128, top_k_fraction=0.05).backbone.eval()
    assert isinstance(network, LocalNetwork)
    for side, number in ((128, 13), (64, 13), (24, 9)):
        cells = torch.randn(2, 1, side // CELL_PX, side // CELL_PX)
        largest = np.sort(cells.numpy().reshape(2, -1), axis=1)[:, -number:]
        np.testing.assert_allclose(network.logits(cells)[:, 1], largest.mean(axis=1), rtol=1e-5)


@pytest.mark.usefixtures("openvino")
def test_what_an_engine_keeps_of_a_network_is_not_taken_for_another_share(
    classifier: Build, tmp_path: Path
) -> None:
    images = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    options: dict[str, Any] = {"wanted": "openvino", "image_size": 64, "threads": 2, "key": "engine"}
    for share in (0.03, 0.25):
        model = classifier(top_k_fraction=share).eval()
        _, compute = prepare_backend(LogitNetwork(model), cache=tmp_path, **options)
        torch.testing.assert_close(compute(images), model(images).detach(), atol=1e-3, rtol=1e-3)


def test_a_checkpoint_that_names_no_share_has_that_of_then(classifier: Build) -> None:
    older = {key: value for key, value in classifier().hparams.items() if key != "top_k_fraction"}
    network = InferenceModel(**older).backbone
    assert isinstance(network, LocalNetwork)
    assert network.top_k_fraction == 0.03


def test_cells_answer_to_what_is_under_them() -> None:
    network = build("resnet10t").eval()
    image = torch.zeros(1, 3, 256, 256)
    spot = image.clone()
    spot[..., 200:208, 40:48] = 3
    moved = (network.cells(spot) - network.cells(image)).abs()[0, 0]
    row, column = divmod(int(moved.argmax()), moved.shape[1])
    assert abs(row - 25) <= 2
    assert abs(column - 5) <= 2


def test_only_tiles_of_known_masks_count_and_a_cell_is_crack_where_any_pixel_is() -> None:
    cells = torch.randn(3, 1, 4, 4)
    masks = torch.zeros(3, 1, 32, 32)
    masks[0, 0, 9, 17] = 1.0
    masks[1, 0, :, 3] = 0.1
    truth = np.zeros((2, 16))
    truth[0, 1 * 4 + 2] = 1
    probability = torch.sigmoid(cells[:2]).numpy().reshape(2, 16).astype(np.float64)
    expected = log_loss(truth.ravel(), probability.ravel())
    found = cell_loss(cells, masks, torch.tensor([True, True, False]))
    assert float(found) == pytest.approx(expected, rel=1e-5)
    assert float(cell_loss(cells, masks, torch.tensor([False] * 3))) == 0


def test_a_cell_stands_for_the_eight_pixels_under_it_whatever_the_side() -> None:
    masks = torch.zeros(1, 1, 75, 75)
    masks[..., 71, :] = 1.0
    cells = torch.full((1, 1, 10, 10), -50.0)
    cells[:, :, 8] = 50.0
    assert float(cell_loss(cells, masks, torch.tensor([True]))) < 1e-6


def test_a_network_without_the_strides_or_with_more_classes_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'vit_tiny_patch16_224' has 16;"):
        build("vit_tiny_patch16_224", image_size=224)
    with pytest.raises(ConfigError, match="one of them positive, got 3 classes;"):
        build(num_classes=3)


def batch(number: int = 4) -> dict[str, torch.Tensor]:
    masks = torch.zeros(number, 1, 64, 64, dtype=torch.uint8)
    masks[1::2, :, 20:24, 8:] = 255
    return {
        "image": torch.randint(256, (number, 3, 64, 64), dtype=torch.uint8),
        "target": torch.arange(number) % 2,
        "index": torch.arange(number),
        "mask": masks,
        "mask_known": torch.ones(number, dtype=torch.bool),
    }


def learn(model: CrackClassifier) -> None:
    model._step(batch(), "train").backward()  # type: ignore[no-untyped-call]


def test_with_frozen_the_head_alone_learns(classifier: Build) -> None:
    model = classifier().train()
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        learn(model)
        optimizer.step()
    changed = {
        key for key, value in model.backbone.state_dict().items() if not torch.equal(value, before[key])
    }
    assert changed
    assert all(key.startswith("head.") for key in changed)


def test_with_finetune_the_backbone_learns_too(classifier: Build) -> None:
    model = classifier(recipe="finetune").train()
    assert isinstance(model.backbone, LocalNetwork)
    learn(model)
    gradients = [parameter.grad for parameter in model.backbone.trunk.parameters()]
    assert any(gradient is not None and bool(gradient.any()) for gradient in gradients)


def test_the_loss_is_that_of_tiles_and_weighted_that_of_cells(classifier: Build) -> None:
    given = batch()
    with_cells, without = (classifier(cell_loss=weight).eval() for weight in (2.0, 0.0))
    cells = with_cells.backbone.cells(with_cells._normalised(given["image"]))  # type: ignore[operator]
    error = cell_loss(cells, given["mask"] / 255, given["mask_known"])
    difference = with_cells._step(given, "val") - without._step(given, "val")
    torch.testing.assert_close(difference, 2 * error)


def test_masks_that_are_larger_than_the_images_tell_the_same(classifier: Build) -> None:
    given, model = batch(), classifier().eval()
    larger = {**given, "mask": given["mask"].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)}
    torch.testing.assert_close(model._step(larger, "val"), model._step(given, "val"))


def test_the_engines_compute_the_same_scores_and_features_are_refused(classifier: Build) -> None:
    model = classifier().eval()
    images = batch()["image"]
    torch.testing.assert_close(eager(LogitNetwork(model))(images), model(images).detach())
    with pytest.raises(ConfigError, match="one linear layer, got LocalHead"):
        FeatureNetwork(model)


def test_imagenet_weights_fill_the_backbone_up_to_where_it_is_cut() -> None:
    network = build("tf_efficientnet_lite0")
    [note] = load_weights(
        Local().pretrained_module(network), name="tf_efficientnet_lite0", weights="imagenet"
    ).notes
    whole = [key for key in network.trunk.state_dict() if not key.endswith("num_batches_tracked")]
    assert note.startswith(f"{len(whole)} of {len(whole)} backbone tensors")
    assert not any(key.startswith(("blocks.5", "blocks.6", "conv_head")) for key in whole)


def test_a_local_head_explains_itself(classifier: Build) -> None:
    model = classifier().eval()
    images = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    explainer = build_explainer(model)
    crack = explainer(images, torch.tensor([1, 1]))
    assert crack.shape == (2, 8, 8)
    scores = topk_mean(crack[:, None])
    logits = model(images).detach()
    torch.testing.assert_close(scores, logits[:, 1] - logits[:, 0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(explainer(images, torch.tensor([0, 1]))[0], -crack[0])
