"""Photos at their own size, one at a time: their maps, their tiles, and what each is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.data.decoding import decode_image
from crack_lightning.data.loading import UnreadableImageError
from crack_lightning.inference.mapping import TooSmallError, write_map, write_tiles
from crack_lightning.inference.predictor import Answers
from crack_lightning.paths import places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from crack_lightning.inference.mapping import CrackMap, CrackMapper


def map_pictures(
    pictures: Sequence[Path], folder: Path, *, mapper: CrackMapper, on_batch: Callable[[int], object]
) -> Answers:
    """Map the pictures that can be read; write ``tiles.csv``, and a map and an overlay of each in ``maps/``.

    Args:
        pictures: N files.
        folder: Where to write.
        mapper: The model's.
        on_batch: Called for each picture with 1.

    Returns:
        Each picture's probability is that of its tile which is likeliest cracked. There is no novelty: that
        of the whole picture says nothing of its tiles.
    """
    probabilities = np.full((len(pictures), 2), np.nan, np.float32)
    labels, problems = [""] * len(pictures), [""] * len(pictures)

    def mapped() -> Iterator[tuple[str, CrackMap]]:
        for row, place in enumerate(places(pictures, folder / "maps")):
            on_batch(1)
            try:
                pixels = decode_image(pictures[row])
                found = mapper.map(pixels)
            except UnreadableImageError as error:
                problems[row] = error.reason
                continue
            except TooSmallError as error:
                problems[row] = str(error)
                continue
            write_map(found, pixels, place)
            largest = max(tile.probability for tile in found.tiles)
            probabilities[row] = 1 - largest
            probabilities[row, mapper.positive_index] = largest
            called = mapper.positive_index if largest >= mapper.threshold else 1 - mapper.positive_index
            labels[row] = mapper.class_names[called]
            yield str(pictures[row]), found

    write_tiles(mapped(), folder / "tiles.csv", threshold=mapper.threshold)
    return Answers(
        names=[str(picture) for picture in pictures],
        labels=labels,
        probabilities=probabilities,
        class_names=mapper.class_names,
        novelty=np.full(len(pictures), np.nan, np.float32),
        problems=problems,
    )
