"""Pictures with the places where a model sees evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from crack_lightning.data.decoding import decode_image
from crack_lightning.data.loading import read_batch
from crack_lightning.data.overlays import overlay

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from crack_lightning.model.explain import Explainer, LocalExplainer


def explained_pictures(
    explainer: Explainer | LocalExplainer,
    paths: Sequence[Path],
    of_class: Sequence[int],
    *,
    image_size: int,
    batch_size: int,
) -> Iterator[NDArray[np.uint8]]:
    """Yield pictures tinted where there is evidence; one in full size is held at a time.

    Args:
        explainer: The model's.
        paths: N pictures.
        of_class: The class that each is to be explained for, N indices.
        image_size: Side of the model's square, pixels.
        batch_size: Pictures that the model sees at once.

    Yields:
        Each in its own size, in grey with its tint, RGB, uint8 ``(H, W, 3)``.
    """
    for start in range(0, len(paths), batch_size):
        part = slice(start, start + batch_size)
        maps = explainer(read_batch(paths[part], size=image_size), torch.tensor(of_class[part])).numpy()
        for path, evidence in zip(paths[part], maps, strict=True):
            yield overlay(decode_image(path), evidence)
