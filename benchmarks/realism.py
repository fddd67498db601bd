"""How fast tiles are painted, and how easily they are told from real cracked ones."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crack_lightning.data.io.decoding import decode_image
from crack_lightning.data.synthesis.painting import paint_tile
from crack_lightning.model.backbones import build_backbone, normalisation
from crack_lightning.model.weights.load import load_weights

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from crack_lightning.data.synthesis.painting import PaintedTile

    Picture = NDArray[np.uint8]

TILE_PX, SEEN_PX, GRID_PX = 224, 160, 200
NETWORK = "tf_efficientnet_lite0"
_NEIGHBOURS, _LEAST_ALONE_PX = 20, 3.0


def painting_speed(tiles: Sequence[Path], *, number: int = 300) -> float:
    """Return how many tiles of 224 px are painted in a second of one core, decoding left out."""
    cv2.setNumThreads(1)
    images = [_sized(decode_image(path)) for path in tiles[:number]]
    paint_tile(images[0], np.random.default_rng(0), cracked=True)
    began = time.process_time()
    for row, image in enumerate(images):
        paint_tile(image, np.random.default_rng([0, row]), cracked=row % 2 == 0)
    return len(images) / (time.process_time() - began)


def painted_or_real(
    real: Sequence[Path], intact: Sequence[Path], grids: Path, *, number: int = 1000
) -> tuple[float, float]:
    """Write grids of 32 painted and 32 real cracked tiles, and say how well the two can be told apart.

    Args:
        real: Cracked tiles.
        intact: Tiles to paint on.
        grids: Folder for ``painted.png`` and ``real.png``.
        number: Tiles of each kind, evenly from the lists.

    Returns:
        AUROC of a logistic regression on frozen ImageNet features at 160 px, five folds, tiles of
        neighbouring names kept together; then that of painted tiles with cracks alone, of 3 px or more and
        without distractors.
    """
    pictures = [decode_image(path) for path in _spread(real, number)]
    below = [decode_image(path) for path in _spread(intact, number)]
    painted = [_painted(image, [1, seed]) for seed, image in enumerate(below)]
    grids.mkdir(parents=True, exist_ok=True)
    for name, shown in (("painted", painted), ("real", pictures)):
        cv2.imwrite(str(grids / f"{name}.png"), _grid(shown)[..., ::-1])
    features = _features(pictures)
    bare = [_painted_alone(image, seed) for seed, image in enumerate(below)]
    return _told_apart(features, _features(painted)), _told_apart(features, _features(bare))


def _told_apart(real: NDArray[np.float32], painted: NDArray[np.float32]) -> float:
    label = np.repeat([0, 1], [len(real), len(painted)])
    neighbours = np.concatenate([np.arange(len(real)), np.arange(len(painted))]) // _NEIGHBOURS
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=500))
    said = cross_val_predict(
        head,
        np.concatenate([real, painted]),
        label,
        groups=neighbours + label * len(label),
        cv=GroupKFold(5),
        method="predict_proba",
    )
    return float(roc_auc_score(label, said[:, 1]))


def _spread(paths: Sequence[Path], number: int) -> Sequence[Path]:
    return paths[:: max(1, len(paths) // number)][:number]


def _sized(image: Picture) -> Picture:
    return np.asarray(cv2.resize(image, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA), np.uint8)


def _painted(image: Picture, seed: list[int]) -> Picture:
    return _saved(paint_tile(image, np.random.default_rng(seed), cracked=True))


def _painted_alone(image: Picture, seed: int) -> Picture:
    """Paint until there are cracks alone, of 3 px or more."""
    for again in itertools.count():
        tile = paint_tile(image, np.random.default_rng([2, seed, again]), cracked=True)
        if not tile.distractors and tile.crack_width_px >= _LEAST_ALONE_PX:
            return _saved(tile)
    raise AssertionError("itertools.count never ends")


def _saved(tile: PaintedTile) -> Picture:
    """Return a tile as it is read from the file that a camera might save."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, tile.jpeg_quality]
    file = cv2.imencode(".jpg", cv2.cvtColor(tile.image, cv2.COLOR_RGB2BGR), quality)[1]
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR_RGB), np.uint8)


def _grid(pictures: Sequence[Picture]) -> Picture:
    small = [cv2.resize(picture, (GRID_PX, GRID_PX)) for picture in pictures[:32]]
    return np.vstack([np.hstack(small[start : start + 8]) for start in range(0, 32, 8)])


def _features(pictures: Sequence[Picture]) -> NDArray[np.float32]:
    network: Any = build_backbone(
        NETWORK, num_classes=2, drop_rate=0.0, drop_path_rate=0.0, image_size=SEEN_PX
    )
    load_weights(network, name=NETWORK, weights="imagenet")
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in normalisation(NETWORK))
    network.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(pictures), 32):
            batch = np.stack([cv2.resize(p, (SEEN_PX, SEEN_PX)) for p in pictures[start : start + 32]])
            images = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255
            maps = network.forward_features((images - mean) / std)
            found.append(network.forward_head(maps, pre_logits=True).numpy())
    return np.concatenate(found)
