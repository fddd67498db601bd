"""Pictures at their own size: where the cracks are, tile by tile and as pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from crack_lightning.csv_files import write_table
from crack_lightning.errors import ConfigError
from crack_lightning.inference.strips import PIECE_PX, cell_map, reach, tiles_of
from crack_lightning.model.engines import eager
from crack_lightning.model.heads import CELL_PX, LocalNetwork
from crack_lightning.model.networks import CellNetwork
from crack_lightning.run_folder import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from crack_lightning.model.engines import Compute
    from crack_lightning.model.trained import AnsweringParts

_LEAST_SHOWN = 0.3


@dataclass(frozen=True, kw_only=True)
class CrackMap:
    """What a local head says of one picture.

    Attributes:
        cells: Probability that a crack runs through a cell of 8 x 8 pixels, float32 ``(h, w)``.
        tiles: Top and left in pixels and the probability of a crack, a row a tile; all of one size, scored as
            the classifier scores a tile, so that the last of a row or column may lie over the one before.
    """

    cells: NDArray[np.float32]
    tiles: list[tuple[int, int, float]]


class CrackMapper:
    """A trained local head for whole pictures.

    Args:
        classifier: The model, in evaluation mode.
        compute: What computes its :class:`~crack_lightning.model.networks.CellNetwork`; eager PyTorch in 32
            bits on the CPU by default.
        piece_px: Largest side of what is computed at once, pixels; see
            :data:`~crack_lightning.inference.strips.PIECE_PX`.

    Attributes:
        reach_px: How far from itself a cell looks, pixels.
        threshold: The least probability that is called a crack.
        class_names: Names by class index.
        positive_index: The class of a crack.
        tile_px: Side of a tile, pixels.

    Raises:
        ConfigError: If its head is not local, or it looks too far for pieces to fit together.
    """

    def __init__(
        self,
        classifier: AnsweringParts,
        *,
        compute: Compute | None = None,
        piece_px: int = PIECE_PX["eager"],
    ) -> None:
        self.reach_px = map_reach(classifier)
        assert isinstance(classifier.backbone, LocalNetwork)
        self._network = classifier.backbone
        self._compute = compute or eager(CellNetwork(classifier), any_size=True)
        self._piece_px = piece_px
        self._temperature = float(classifier.hparams["temperature"])
        self.threshold = float(classifier.hparams["threshold"])
        self.class_names: tuple[str, ...] = tuple(classifier.hparams["class_names"])
        self.positive_index = self.class_names.index(classifier.hparams["positive_class"])
        self.tile_px = int(classifier.hparams["image_size"])

    def map(self, pixels: NDArray[np.uint8]) -> CrackMap:
        """Map a picture, uint8 ``(H, W, 3)``, at its own size."""
        cells = cell_map(self._compute, pixels, reach_px=self.reach_px, piece_px=self._piece_px)
        places, parts = tiles_of(cells, tile_px=self.tile_px)
        scores = self._network.logits(torch.from_numpy(parts)[:, None])[:, self.positive_index]
        probabilities = self._probability(scores).tolist()
        tiles = [(*place, probability) for place, probability in zip(places, probabilities, strict=True)]
        return CrackMap(cells=self._probability(torch.from_numpy(cells)).numpy(), tiles=tiles)

    def _probability(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits / self._temperature)


def map_reach(classifier: AnsweringParts) -> int:
    """Return how far from itself a cell of a model looks, pixels.

    Raises:
        ConfigError: If its head is not local, or it looks too far for pieces to fit together.
    """
    if not isinstance(classifier.backbone, LocalNetwork):
        raise ConfigError(
            "map: a map needs a model that was trained with model.head=local, and this one's head is "
            "pooled; leave map out, or give another checkpoint."
        )
    if classifier.backbone.reach_px is None:
        classifier.backbone.reach_px = untrained_reach(classifier)
    return classifier.backbone.reach_px


def untrained_reach(classifier: AnsweringParts) -> int:
    """Measure how far a cell of such a network looks, pixels, by random weights; trained ones miss noise."""
    names = ("name", "image_size", "drop_rate", "drop_path_rate")
    options = {name: classifier.hparams[name] for name in names}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = LocalNetwork(**options, num_classes=2, positive_index=1)
        torch.nn.init.normal_(network.head.cell.weight)
    for scale in network.parameters():
        if scale.ndim == 1 and not scale.any():  # timm lets residual branches begin as nothing
            torch.nn.init.ones_(scale)
    return reach(network.eval().cells)


def write_map(found: CrackMap, pixels: NDArray[np.uint8], stem: Path) -> None:
    """Write ``<stem>.map.png``, a pixel a cell and white for a crack, and ``<stem>.overlay.jpg``."""
    shown = (found.cells * 255).round().astype(np.uint8)
    _write(stem.with_name(f"{stem.name}.map.png"), shown, [])
    picture = overlaid(found.cells, pixels)
    blue_first = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), np.uint8)
    _write(stem.with_name(f"{stem.name}.overlay.jpg"), blue_first, [cv2.IMWRITE_JPEG_QUALITY, 90])


def overlaid(cells: NDArray[np.float32], pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colour a picture, uint8 ``(H, W, 3)``, where a crack is likelier than ``0.3``; elsewhere it stays."""
    height, width = pixels.shape[:2]
    whole = (cells.shape[1] * CELL_PX, cells.shape[0] * CELL_PX)
    likely = cv2.resize(cells, whole, interpolation=cv2.INTER_LINEAR)[:height, :width]
    where = likely > _LEAST_SHOWN
    share = 0.65 * (likely[where][:, None] - _LEAST_SHOWN) / (1 - _LEAST_SHOWN)
    shown = pixels.copy()
    shown[where] = pixels[where] * (1 - share) + np.array([255, 30, 60], np.float32) * share
    return shown


def write_tiles(rows: Iterable[tuple[str, CrackMap]], path: Path, *, threshold: float) -> None:
    """Write ``path,top_px,left_px,probability_crack,called_crack``, a row a tile of each picture."""
    cells = (
        [name, top, left, f"{probability:.6f}", int(probability >= threshold)]
        for name, found in rows
        for top, left, probability in found.tiles
    )
    write_table(path, ["path", "top_px", "left_px", "probability_crack", "called_crack"], cells)


def _write(path: Path, picture: NDArray[np.uint8], settings: list[int]) -> None:
    done, data = cv2.imencode(path.suffix, picture, settings)
    assert done, f"cv2 cannot encode {path.suffix} of {picture.shape}"
    with whole_file(path) as temporary:
        temporary.write_bytes(data.tobytes())
