"""Input size, tile scale and pooling of a local head when it is used: what finds the thinnest cracks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from crack_lightning.data.loading import read_batch
from crack_lightning.data.sources import synthetic
from crack_lightning.evaluation.detection import probability_of_detection
from crack_lightning.evaluation.intervals import group_codes
from crack_lightning.model.checkpoints import load_classifier
from crack_lightning.model.folding import folded
from crack_lightning.model.heads import STRONGEST, strongest_mean
from crack_lightning.model.networks import CellNetwork

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from crack_lightning.data.table import TileTable

SIDES = (160, 224, 320, 384, 448)
TILES = ((448, 224), (224, 224), (112, 224))
SHARES = (0.005, 0.01, 0.02, STRONGEST, 0.05, 0.1)
PHOTO_PX, NUM_TILES, FALSE_CALLS = 448, 300, 0.05
_CALLS_FROM, _MEASURES = 101, 102
MEANS = ((224, 320), (224, 448), (320, 448), SIDES)
_BATCH = 16
_FLIPS = ((), (2,), (3,), (2, 3))


def tables(checkpoint: str, photos: TileTable, *, cache: Path) -> Iterator[str]:
    """Lay out how a local head does at several input sizes, tile scales and ways of pooling, line by line.

    Args:
        checkpoint: A run's, or ``builtin``.
        photos: Tiles of 256 px of photos that settings may be chosen on.
        cache: For the drawn tiles.
    """
    classifier = load_classifier(Path(checkpoint))
    network = folded(CellNetwork(classifier), torch.zeros((1, 3, 64, 64), dtype=torch.uint8))
    of_photos = {side: cell_maps(network, photos, side) for side in SIDES}
    yield f"| share of cells | {' | '.join(f'{side} px' for side in SIDES)} |"
    yield "| ---: " * (1 + len(SIDES)) + "|"
    for share in SHARES:
        found = [_auroc(photos, strongest_mean(of_photos[side], share=share)) for side in SIDES]
        yield f"| {share:.1%} | {' | '.join(f'{value:.3f}' for value in found)} |"
    flipped = [_auroc(photos, _over_flips(network, photos, side)) for side in SIDES]
    yield f"| {STRONGEST:.1%}, mean over four flips | {' | '.join(f'{value:.3f}' for value in flipped)} |"
    for sides in MEANS:
        mean = torch.stack([strongest_mean(of_photos[side]) for side in sides]).mean(0)
        yield f"{STRONGEST:.1%}, mean over {', '.join(map(str, sides))} px: {_auroc(photos, mean):.3f}"
    yield f"| tile, px | seen at, px | AUROC | found in nine of ten at {FALSE_CALLS:.0%} false calls, px |"
    yield "| ---: " * 4 + "|"
    for tile_px, side in dict.fromkeys([*((224, side) for side in SIDES), *TILES]):
        yield f"| {tile_px} | {side} | {_drawn(network, tile_px, side, cache=cache)} |"


@torch.inference_mode()
def cell_maps(network: nn.Module, table: TileTable, side: int, *, flips: Sequence[int] = ()) -> Tensor:
    """Return the cells of all tiles, float ``(N, 1, side / 8, side / 8)``, of tiles flipped along axes."""
    paths = [table.root / path for path in table.path]
    found = []
    for start in range(0, len(paths), _BATCH):
        images = read_batch(paths[start : start + _BATCH], size=side)
        found.append(network(images.flip(list(flips)) if flips else images))
    return torch.cat(found)


def _over_flips(network: nn.Module, table: TileTable, side: int) -> Tensor:
    found = [strongest_mean(cell_maps(network, table, side, flips=flips)) for flips in _FLIPS]
    return torch.stack(found).mean(0)


def _drawn(network: nn.Module, tile_px: int, side: int, *, cache: Path) -> str:
    """Return AUROC and the width that is found in nine of ten cases, as two cells of a row."""
    sets = [
        synthetic.load(
            seed=seed,
            num_tiles=NUM_TILES,
            tile_px=tile_px,
            photo_tiles=PHOTO_PX // tile_px,
            num_workers=2,
            cache=cache,
        )
        for seed in (_CALLS_FROM, _MEASURES)
    ]
    first, second = (strongest_mean(cell_maps(network, table, side)).numpy() for table in sets)
    limit = float(np.quantile(first[~_cracked(sets[0])], 1 - FALSE_CALLS))
    cracked = _cracked(sets[1])
    width: NDArray[Any] = sets[1].extra["crack_width_px"].astype(np.float64)[cracked]
    found = probability_of_detection(width, second[cracked] >= limit, group_codes(sets[1].group[cracked]))
    told = f"{found['a90_px']:.1f}" if found["estimable"] else "none"
    return f"{roc_auc_score(cracked, second):.3f} | {told}"


def _cracked(table: TileTable) -> NDArray[np.bool_]:
    return np.asarray(table.label == table.positive_index)


def _auroc(table: TileTable, score: Tensor) -> float:
    return float(roc_auc_score(_cracked(table), score.numpy()))
