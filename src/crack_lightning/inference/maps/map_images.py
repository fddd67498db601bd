"""Crack maps, tiles and predictions of photos at their own size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from crack_lightning.data.io.decoding import UnreadableImageError, decode_image
from crack_lightning.inference.maps.crack_map import tile_rows, write_map
from crack_lightning.inference.maps.scaled_photo import TooSmallError
from crack_lightning.inference.predictor import PicturePredictions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from crack_lightning.inference.maps.crack_map import CrackMapper, MapTile


class TileRows(Protocol):
    """A table to which the rows of mapped tiles are written."""

    def write(self, rows: Iterable[Sequence[object]]) -> None:
        """Append rows, by ``TILE_COLUMNS``."""


def map_photos(
    photos: Sequence[Path],
    *,
    mapper: CrackMapper,
    places: Mapping[Path, Path],
    tiles: TileRows,
) -> Iterator[PicturePredictions]:
    """Map photos; write a map and an overlay of each that can be read, and its tiles.

    Args:
        photos: N files.
        mapper: The crack mapper of the model.
        places: Path of each map, without suffix.
        tiles: The table of the tiles.

    Yields:
        The prediction of each, once its map and tiles are written. Its probability and OOD score are those of
        its tile of the highest probability.
    """
    for photo in photos:
        try:
            pixels = decode_image(photo)
            crack_map = mapper.map(pixels)
        except (UnreadableImageError, TooSmallError) as error:
            reason = error.reason if isinstance(error, UnreadableImageError) else str(error)
            yield _prediction(photo, None, mapper, problem=reason)
            continue
        write_map(crack_map, pixels, places[photo], threshold=mapper.threshold)
        tiles.write(tile_rows(str(photo), crack_map, threshold=mapper.threshold))
        yield _prediction(photo, max(crack_map.tiles, key=lambda tile: tile.probability), mapper)


def _prediction(
    photo: Path, likeliest: MapTile | None, mapper: CrackMapper, *, problem: str = ""
) -> PicturePredictions:
    probabilities = np.full((1, 2), np.nan, np.float32)
    label, ood_score = "", np.nan
    if likeliest is not None:
        probability, ood_score = likeliest.probability, likeliest.ood_score
        probabilities[0] = 1 - probability
        probabilities[0, mapper.positive_index] = probability
        predicted = mapper.positive_index if probability >= mapper.threshold else 1 - mapper.positive_index
        label = mapper.class_names[predicted]
    return PicturePredictions(
        names=[str(photo)],
        labels=[label],
        probabilities=probabilities,
        class_names=mapper.class_names,
        ood_score=np.full(1, ood_score, np.float32),
        problems=[problem],
        threshold=mapper.threshold,
    )
