"""A frozen backbone's features, computed once and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from crack_lightning.cache_entries import cached_entry
from crack_lightning.errors import ConfigError
from crack_lightning.model.backbones import head_modules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from crack_lightning.model.classifier import CrackClassifier
    from crack_lightning.model.engines import Compute

_FILE = "features.npy"


class FeatureNetwork(nn.Module):
    """A classifier up to its last layer.

    Args:
        classifier: A model whose head is one linear layer.

    Raises:
        ConfigError: If its head is something else.
    """

    def __init__(self, classifier: CrackClassifier) -> None:
        super().__init__()
        linear_head(classifier.backbone)
        self.backbone = classifier.backbone
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", classifier.mean)
        self.register_buffer("std", classifier.std)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return features, float ``(N, D)``, of images, uint8 ``(N, 3, S, S)``."""
        normalised = ((images.float() / 255 - self.mean) / self.std).contiguous(
            memory_format=torch.channels_last
        )
        maps = self.backbone.forward_features(normalised)  # type: ignore[operator]
        features: Tensor = self.backbone.forward_head(maps, pre_logits=True)  # type: ignore[operator]
        return features


def linear_head(backbone: nn.Module) -> nn.Linear:
    """Return a network's last layer.

    Raises:
        ConfigError: If that is not one linear layer.
    """
    modules = head_modules(backbone)
    if len(modules) != 1 or not isinstance(modules[0], nn.Linear):
        kinds = ", ".join(type(module).__name__ for module in modules)
        raise ConfigError(
            f"recipe: probe needs a network that ends in one linear layer, got {kinds}; "
            "use recipe=finetune, or another model."
        )
    return modules[0]


def kept_features(
    compute: Compute,
    batches: Iterator[Tensor],
    *,
    number: int,
    made_of: Mapping[str, object],
    cache: Path,
) -> NDArray[np.float32]:
    """Return features from the cache; compute them where it has none.

    Args:
        compute: From images, uint8 ``(M, 3, S, S)``, to features, float32 ``(M, D)``.
        batches: The images, N in all; read only where the features are computed.
        number: N, at least 1.
        made_of: All that decides the features.
        cache: The cache folder.

    Returns:
        Features, float32 ``(N, D)``, mapped from the file, read-only.

    Raises:
        DataError: If the cache cannot be written.
    """

    def make(folder: Path) -> None:
        place, file = 0, None
        for images in batches:
            features = compute(images).numpy()
            if file is None:
                shape = (number, features.shape[1])
                file = np.lib.format.open_memmap(folder / _FILE, mode="w+", dtype=np.float32, shape=shape)
            file[place : place + len(features)] = features
            place += len(features)
        assert file is not None, "no images"
        assert place == number, (place, number)
        file.flush()

    entry = cached_entry("features", made_of, make, cache=cache)
    return np.load(entry / _FILE, mmap_mode="r")  # type: ignore[no-any-return]
