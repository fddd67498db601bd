"""Photos at their own size, one at a time: their maps, their tiles, and what each is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.data.decoding import decode_image
from crack_lightning.data.loading import UnreadableImageError
from crack_lightning.inference.mapping import TooSmallError, tile_rows, write_map
from crack_lightning.inference.predictor import Answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from crack_lightning.inference.growing_table import GrowingTable
    from crack_lightning.inference.mapping import CrackMapper


def map_photos(
    photos: Sequence[Path], *, mapper: CrackMapper, places: Mapping[Path, Path], tiles: GrowingTable
) -> Iterator[Answers]:
    """Map photos; write a map and an overlay of each that can be read, and its tiles.

    Args:
        photos: N files.
        mapper: The model's.
        places: Where the map of each is written, without suffix.
        tiles: Where its tiles are written.

    Yields:
        The answer for each, once its map and tiles are written. Its probability is that of its tile which is
        likeliest cracked. There is no novelty: that of the whole photo says nothing of its tiles.
    """
    for photo in photos:
        try:
            pixels = decode_image(photo)
            found = mapper.map(pixels)
        except (UnreadableImageError, TooSmallError) as error:
            reason = error.reason if isinstance(error, UnreadableImageError) else str(error)
            yield _answer(photo, None, mapper, problem=reason)
            continue
        write_map(found, pixels, places[photo], threshold=mapper.threshold)
        tiles.write(tile_rows(str(photo), found, threshold=mapper.threshold))
        yield _answer(photo, max(tile.probability for tile in found.tiles), mapper)


def _answer(photo: Path, largest: float | None, mapper: CrackMapper, *, problem: str = "") -> Answers:
    probabilities = np.full((1, 2), np.nan, np.float32)
    label = ""
    if largest is not None:
        probabilities[0] = 1 - largest
        probabilities[0, mapper.positive_index] = largest
        called = mapper.positive_index if largest >= mapper.threshold else 1 - mapper.positive_index
        label = mapper.class_names[called]
    return Answers(
        names=[str(photo)],
        labels=[label],
        probabilities=probabilities,
        class_names=mapper.class_names,
        novelty=np.full(1, np.nan, np.float32),
        problems=[problem],
        threshold=mapper.threshold,
    )
