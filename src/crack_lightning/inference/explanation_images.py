"""Explanation images: photos tinted by a model's evidence, aspect ratio kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch.nn.functional import interpolate

from crack_lightning.data.io.overlays import overlay
from crack_lightning.inference.maps.crack_map import crack_pixels, photo_probability

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from crack_lightning.inference.maps.crack_map import CrackMapper
    from crack_lightning.model.explain import Explainer, LocalExplainer

_MULTIPLE = 32
_LEAST_ODDS = 1e-6


class PhotoExplainer(Protocol):
    """Tints a photo by a model's evidence."""

    method: str

    def __call__(self, pixels: NDArray[np.uint8], of_class: int) -> NDArray[np.uint8]:
        """Return a photo, uint8 ``(H, W, 3)``, in grey with its tint.

        Args:
            pixels: The photo, RGB, uint8 ``(H, W, 3)``.
            of_class: The class that is explained.
        """
        ...


class MapExplainer:
    """The explanation of a local head: its crack map as a tint inside the outlines of the overlay.

    Args:
        mapper: The crack mapper of the model.

    Attributes:
        method: What it shows, in words.
    """

    method = "the local head's own map, at the photo's size"

    def __init__(self, mapper: CrackMapper) -> None:
        self._mapper = mapper

    def __call__(self, pixels: NDArray[np.uint8], of_class: int) -> NDArray[np.uint8]:
        """Return the photo tinted where a crack is predicted, by its probability."""
        crack_map, threshold = self._mapper.map(pixels), self._mapper.threshold
        shape = pixels.shape[:2]
        likely = np.clip(photo_probability(crack_map, shape), _LEAST_ODDS, 1 - _LEAST_ODDS)
        odds = np.log(likely / (1 - likely)) - np.log(threshold / (1 - threshold))
        return overlay(pixels, np.where(crack_pixels(crack_map, shape, threshold=threshold), odds, 0))


class AspectExplainer:
    """The explanation of a network without a crack map, at the photo's aspect ratio.

    The photo is resized to about as many pixels as the model's input.

    Args:
        explainer: The explainer of the model.
        image_size: Side of the model's square, pixels.

    Attributes:
        method: What it shows, in words.
    """

    def __init__(self, explainer: Explainer | LocalExplainer, *, image_size: int) -> None:
        self._explainer, self._image_size, self.method = explainer, image_size, explainer.method

    def __call__(self, pixels: NDArray[np.uint8], of_class: int) -> NDArray[np.uint8]:
        """Return the photo tinted where there is evidence for a class."""
        image = self._resized(pixels)
        evidence = self._explainer(image, torch.tensor([of_class]))[0].numpy()
        return overlay(pixels, evidence)

    def _resized(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Resize a photo to about the square's pixel count, uint8 ``(1, 3, h, w)``, or to the square."""
        height, width = pixels.shape[:2]
        scale = self._image_size / (height * width) ** 0.5
        size = [max(_MULTIPLE, round(side * scale / _MULTIPLE) * _MULTIPLE) for side in (height, width)]
        if not self._explainer.any_size:
            size = [self._image_size, self._image_size]
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        return interpolate(image, size, mode="bilinear", antialias=True)
