"""Input size, tile scale and pooling of a local head when it is used: what finds the thinnest cracks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from crack_lightning.data.io.decoding import decode_image
from crack_lightning.data.io.loading import read_batch
from crack_lightning.data.sources import painted, synthetic
from crack_lightning.evaluation.pod.estimate import probability_of_detection
from crack_lightning.model.backends.fuse_conv_bn import fuse_conv_bn
from crack_lightning.model.backends.inference_modules import CellNetwork
from crack_lightning.model.heads.local import topk_mean
from crack_lightning.model.weights.checkpoints import load_classifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from crack_lightning.data.table import TileTable

SIDES = (160, 224, 320, 384, 448)
CELLS = (8, 16, 24, 48)
MEANS = ((224, 320), (224, 448), (320, 448), SIDES)
TILES = ((112, 224), (448, 224))
DRAWN_PX, NUM_DRAWN, NUM_PAINTED, FALSE_CALLS = 448, 600, 1000, 0.05
_TELLING = 24
_CALLS_FROM, _MEASURES = 101, 102
_BATCH = 16
_FLIPS = ((), (2,), (3,), (2, 3))


def tables(checkpoint: str, photos: TileTable, *, cache: Path) -> Iterator[str]:
    """Lay out how a local head does at several input sizes, tile scales and ways of pooling, line by line.

    Args:
        checkpoint: A run's, or ``builtin``.
        photos: Tiles of photos that settings may be chosen on.
        cache: For the drawn and the painted tiles.

    The widths are those of painted cracks of which nine of ten score higher than 95 % of intact tiles with
    look-alikes painted on.
    """
    classifier = load_classifier(Path(checkpoint))
    network = fuse_conv_bn(CellNetwork(classifier), torch.zeros((1, 3, 64, 64), dtype=torch.uint8))
    of_photos = {side: cell_maps(network, photos, side) for side in SIDES}
    yield f"| cells | {' | '.join(f'{side} px' for side in SIDES)} |"
    yield "| ---: " * (1 + len(SIDES)) + "|"
    for number in CELLS:
        found = [_auroc(photos, _score(of_photos[side], number)) for side in SIDES]
        yield f"| {number} | {' | '.join(f'{value:.3f}' for value in found)} |"
    flipped = [_auroc(photos, _over_flips(network, photos, side)) for side in SIDES]
    yield f"| {_TELLING}, mean over four flips | {' | '.join(f'{value:.3f}' for value in flipped)} |"
    for sides in MEANS:
        mean = torch.stack([_score(of_photos[side]) for side in sides]).mean(0)
        yield f"{_TELLING} cells, mean over {', '.join(map(str, sides))} px: {_auroc(photos, mean):.3f}"
    yield "| painted on | tile, px | seen at, px | AUROC | found in nine of ten, px |"
    yield "| --- " + "| ---: " * 4 + "|"
    for name, tile_px, side, base in _bases(photos, cache):
        yield f"| {name} | {tile_px} | {side} | {_widths(network, base, side, cache=cache)} |"


def _bases(photos: TileTable, cache: Path) -> Iterator[tuple[str, int, int, TileTable]]:
    """Name what is painted on: photos, whose own cracks are of unknown width, and drawn tiles."""
    photo_px = decode_image(photos.root / photos.path[0]).shape[0]
    for side in SIDES:
        yield "uav75", photo_px, side, photos
    for tile_px, side in [*((224, side) for side in SIDES), *TILES]:
        per_side = DRAWN_PX // tile_px
        drawn = synthetic.load(
            seed=0, num_tiles=NUM_DRAWN, tile_px=tile_px, photo_tiles=per_side, num_workers=2, cache=cache
        )
        yield "drawn", tile_px, side, drawn


@torch.inference_mode()
def cell_maps(network: nn.Module, table: TileTable, side: int, *, flips: Sequence[int] = ()) -> Tensor:
    """Return the cells of all tiles, float ``(N, 1, side / 8, side / 8)``, of tiles flipped along axes."""
    paths = [table.root / path for path in table.path]
    found = []
    for start in range(0, len(paths), _BATCH):
        images = read_batch(paths[start : start + _BATCH], size=side)
        found.append(network(images.flip(list(flips)) if flips else images))
    return torch.cat(found)


def _score(cells: Tensor, number: int = _TELLING) -> Tensor:
    return topk_mean(cells, share=number / int(cells[0].numel()))


def _over_flips(network: nn.Module, table: TileTable, side: int) -> Tensor:
    found = [_score(cell_maps(network, table, side, flips=flips)) for flips in _FLIPS]
    return torch.stack(found).mean(0)


def _widths(network: nn.Module, base: TileTable, side: int, *, cache: Path) -> str:
    """Return AUROC and the width that is found in nine of ten cases, as two cells of a row."""
    below = painted.ensure_groups(base, np.ones(len(base), np.bool_))
    sets = [
        painted.load(below, seed=seed, num_tiles=NUM_PAINTED, num_workers=2, cache=cache, show_progress=False)
        for seed in (_CALLS_FROM, _MEASURES)
    ]
    first, second = (_score(cell_maps(network, table, side)).numpy() for table in sets)
    limit = float(np.quantile(first[~_cracked(sets[0])], 1 - FALSE_CALLS))
    cracked = _cracked(sets[1])
    width: NDArray[Any] = sets[1].extra["crack_width_px"].astype(np.float64)[cracked]
    found = probability_of_detection(width, second[cracked] >= limit, np.arange(cracked.sum()))
    told = str(found.get("reason"))
    if found["estimable"]:
        beyond = found["a90_px"] > found["widest_px"]
        told = f"none up to {found['widest_px']:.0f}" if beyond else f"{found['a90_px']:.1f}"
    return f"{roc_auc_score(cracked, second):.3f} | {told}"


def _cracked(table: TileTable) -> NDArray[np.bool_]:
    return np.asarray(table.label == table.positive_index)


def _auroc(table: TileTable, score: Tensor) -> float:
    return float(roc_auc_score(_cracked(table), score.numpy()))
