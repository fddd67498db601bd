"""Models that map photos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from crack_lightning.inference.maps.tiled_inference import receptive_radius
from crack_lightning.model.heads.local import LocalNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

    from crack_lightning.model.classifier import CrackClassifier


@pytest.fixture(scope="session")
def local_network() -> Callable[[str], LocalNetwork]:
    """Build a local network whose cells respond to their inputs."""

    def build(name: str) -> LocalNetwork:
        torch.manual_seed(0)
        built = LocalNetwork(
            name, num_classes=2, positive_index=1, drop_rate=0.0, drop_path_rate=0.0, image_size=64
        )
        torch.nn.init.normal_(built.head.cell.weight)
        return built.eval()

    return build


@pytest.fixture(scope="session")
def reach_px(local_network: Callable[[str], LocalNetwork]) -> int:
    return receptive_radius(local_network("resnet10t").cells)


@pytest.fixture
def local_model(
    build_classifier: Callable[..., CrackClassifier], reach_px: int
) -> Callable[..., CrackClassifier]:
    """Build a classifier with a local head whose cells respond to their inputs."""

    def build(**settings: Any) -> CrackClassifier:
        torch.manual_seed(0)
        built = build_classifier(name="resnet10t", head="local", image_size=64, **settings)
        assert isinstance(built.backbone, LocalNetwork)
        torch.nn.init.normal_(built.backbone.head.cell.weight)
        built.backbone.reach_px = reach_px
        return built.eval()

    return build
