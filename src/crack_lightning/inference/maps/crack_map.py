"""Crack maps of photos at their own size, and their files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image

from crack_lightning.inference.maps.outlines import outlined
from crack_lightning.inference.maps.scaled_photo import ScaledPhoto
from crack_lightning.inference.maps.tile_ood import tile_ood_scores
from crack_lightning.inference.maps.tiled_inference import (
    receptive_radius,
    tile_boxes,
    tiled_cell_map,
)
from crack_lightning.model.backends.engines.eager import BACKEND as EAGER, eager
from crack_lightning.model.backends.inference_modules import CellNetwork
from crack_lightning.model.heads.protocol import CELL_PX
from crack_lightning.model.heads.registry import DEFAULT_HEAD
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from crack_lightning.model.backends.inference_model import InferenceParts
    from crack_lightning.model.backends.registry import Compute

_PLACE = ("top_px", "left_px", "height_px", "width_px")
TILE_COLUMNS = ("path", *_PLACE, "probability_crack", "called_crack", "ood_score", "is_ood")
_FULL_COLOUR = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 90, *_FULL_COLOUR)  # chroma subsampling would fade thin lines


class MapTile(NamedTuple):
    """A tile of a mapped photo.

    Attributes:
        top_px: Distance from the photo's upper edge; all lengths are in pixels of the photo.
        left_px: Distance from its left edge.
        height_px: Height of the tile.
        width_px: Width of the tile.
        probability: Probability of a crack.
        ood_score: Its OOD score, above 1 for out-of-distribution; NaN where the model has no OOD detector.
    """

    top_px: int
    left_px: int
    height_px: int
    width_px: int
    probability: float
    ood_score: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class CrackMap:
    """The cell probabilities and the tiles of one photo.

    Attributes:
        cells: Probability that a crack runs through a cell of 8 x 8 pixels of the network's input, float32
            ``(h, w)``; the last of a row or column may reach beyond the photo.
        covered: Height and width of the photo in cells, with fractions.
        tiles: Tiles of one size, scored as the classifier scores tiles; the last of a row or column may
            overlap the one before.
    """

    cells: NDArray[np.float32]
    covered: tuple[float, float]
    tiles: list[MapTile]


class CrackMapper:
    """Crack maps of whole photos by a trained local head, at the scale of its training.

    Args:
        classifier: The model, in evaluation mode.
        compute: The compute function of its
            :class:`~crack_lightning.model.backends.inference_modules.CellNetwork`; eager PyTorch in 32 bits
            on the CPU by default.
        piece_px: Largest side of a piece that is computed at once, pixels; eager PyTorch's by default.
        scale: Pixels of the network's input per pixel of a photo; by default those of training
            (:func:`map_scale`).
        threshold: Least probability at which a crack is predicted; the checkpoint's by default.

    Attributes:
        reach_px: Radius of a cell's receptive field, pixels of the network's input.
        scale: As given, or that of training.
        threshold: Least probability at which a crack is predicted.
        class_names: Names by class index.
        positive_index: The class of a crack.
        tile_px: Side of a tile, pixels of the network's input.

    Raises:
        ConfigError: If its head scores no cells, or their receptive field is too large.
    """

    def __init__(
        self,
        classifier: InferenceParts,
        *,
        compute: Compute | None = None,
        piece_px: int = EAGER.piece_px,
        scale: float | None = None,
        threshold: float | None = None,
    ) -> None:
        self.reach_px = measured_reach(classifier)
        assert classifier.cell_scorer is not None, "measured"
        self._scorer = classifier.cell_scorer
        self._compute = compute or eager(CellNetwork(classifier), any_size=True)
        self._piece_px = piece_px
        self._ood_detector = classifier.ood_detector
        self.scale = scale or map_scale(classifier)
        self._temperature = float(classifier.hparams["temperature"])
        self.threshold = threshold or float(classifier.hparams["threshold"])
        self.class_names: tuple[str, ...] = tuple(classifier.hparams["class_names"])
        self.positive_index = self.class_names.index(classifier.hparams["positive_class"])
        self.tile_px = int(classifier.hparams["image_size"])

    def map(self, pixels: NDArray[np.uint8]) -> CrackMap:
        """Map a photo, RGB, uint8 ``(H, W, 3)``.

        Raises:
            TooSmallError: If a side becomes shorter than a cell at the scale.
        """
        photo = ScaledPhoto(pixels=pixels, scale=self.scale)
        photo.require_cells(CELL_PX)
        cells = tiled_cell_map(
            self._compute, pixels, reach_px=self.reach_px, piece_px=self._piece_px, scale=self.scale
        )
        return CrackMap(
            cells=self._probability(torch.from_numpy(cells)).numpy(),
            covered=(photo.shape[0] / CELL_PX, photo.shape[1] / CELL_PX),
            tiles=self._tiles(photo, cells),
        )

    def _tiles(self, photo: ScaledPhoto, cells: NDArray[np.float32]) -> list[MapTile]:
        """Score the tiles of a map, logits ``(h, w)``, as the classifier scores tiles."""
        places, parts = tile_boxes(cells, tile_px=self.tile_px)
        scores = self._scorer.logits(torch.from_numpy(parts)[:, None])[:, self.positive_index]
        size = parts.shape[1] * CELL_PX, parts.shape[2] * CELL_PX
        ood_scores = tile_ood_scores(self._ood_detector, photo, places, size, tile_px=self.tile_px)
        values = zip(places, self._probability(scores).tolist(), ood_scores.tolist(), strict=True)
        return [MapTile(*photo.original(place, size), *scores) for place, *scores in values]

    def _probability(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits / self._temperature)


def map_scale(classifier: InferenceParts) -> float:
    """Return the scale of a model's maps: that of its training, or 1 where it is unknown."""
    return float(classifier.hparams.get("train_scale") or 1.0)


def measured_reach(classifier: InferenceParts) -> int:
    """Return the radius of the receptive field of a model's cells, pixels.

    Raises:
        ConfigError: If its head scores no cells, or their receptive field is too large.
    """
    scorer = classifier.cell_scorer
    if scorer is None:
        raise ConfigError(
            "map: expected a model with a head that scores cells, as model.head=local, got the head "
            f"'{classifier.hparams.get('head', DEFAULT_HEAD)}'; leave map out, or give another checkpoint."
        )
    if scorer.reach_px is None:
        scorer.reach_px = architecture_reach(classifier)
    return scorer.reach_px


def can_map(classifier: InferenceParts) -> bool:
    """Return whether :class:`CrackMapper` supports a model."""
    try:
        measured_reach(classifier)
    except ConfigError:
        return False
    return True


def architecture_reach(classifier: InferenceParts) -> int:
    """Return a model architecture's receptive-field radius, pixels.

    It is measured with random weights, as trained ones may not respond to noise.
    """
    names = ("name", "image_size", "drop_rate", "drop_path_rate")
    options = {name: classifier.hparams[name] for name in names}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = classifier.head.build(**options, num_classes=2, positive_index=1, settings={})
        for parameter in network.parameters():
            if not parameter.any():  # some layers are initialised at zero and would hide their inputs
                (torch.nn.init.ones_ if parameter.ndim == 1 else torch.nn.init.normal_)(parameter)
    scorer = classifier.head.cell_scorer(network.eval())
    assert scorer is not None, "a head with cells"
    return receptive_radius(scorer.cells)


def write_map(crack_map: CrackMap, pixels: NDArray[np.uint8], stem: Path, *, threshold: float) -> None:
    """Write ``<stem>.map.png``, one pixel for each cell, white for a crack, and ``<stem>.overlay.jpg``."""
    grey = (crack_map.cells * 255).round().astype(np.uint8)
    _write(stem.with_name(f"{stem.name}.map.png"), grey, [])
    picture = outlined(pixels, crack_pixels(crack_map, pixels.shape[:2], threshold=threshold))
    blue_first = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), np.uint8)
    _write(stem.with_name(f"{stem.name}.overlay.jpg"), blue_first, _JPEG)


def crack_pixels(crack_map: CrackMap, shape: tuple[int, ...], *, threshold: float) -> NDArray[np.bool_]:
    """Return crack pixels, bool ``(H, W)``: those with both cell and tile predicted as crack.

    A photo that is predicted as intact has none, and one that is predicted as crack has some.
    """
    in_crack_tile = np.zeros(shape, np.bool_)
    for top, left, height, width, probability, _ in crack_map.tiles:
        if probability >= threshold:
            in_crack_tile[top : top + height, left : left + width] = True
    return in_crack_tile & (photo_probability(crack_map, shape) >= threshold)


def photo_probability(crack_map: CrackMap, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the probability of a crack at each pixel of a photo, float32 ``(H, W)``."""
    (height, width), (tall, wide) = shape, crack_map.covered
    cells, box = Image.fromarray(crack_map.cells), (0, 0, wide, tall)
    return np.asarray(cells.resize((width, height), Image.Resampling.BILINEAR, box=box))


def tile_rows(name: str, crack_map: CrackMap, *, threshold: float) -> Iterator[list[object]]:
    """Yield a ``tiles.csv`` row (``TILE_COLUMNS``) per tile of a photo."""
    for tile in crack_map.tiles:
        has_score = not np.isnan(tile.ood_score)
        ood = [f"{tile.ood_score:.4f}", "yes" if tile.ood_score > 1 else "no"] if has_score else ["", ""]
        yield [name, *tile[:4], f"{tile.probability:.6f}", int(tile.probability >= threshold), *ood]


def _write(path: Path, picture: NDArray[np.uint8], settings: Sequence[int]) -> None:
    done, data = cv2.imencode(path.suffix, picture, settings)
    assert done, f"cv2 cannot encode {path.suffix} of {picture.shape}"
    with atomic_write(path) as temporary:
        temporary.write_bytes(data.tobytes())
