"""A frozen backbone's features, computed once and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.cache_entries import cached_entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from crack_lightning.model.engines import Compute

_FILE = "features.npy"


def kept_features(
    compute: Compute,
    batches: Iterator[Tensor],
    *,
    number: int,
    made_of: Mapping[str, object],
    cache: Path,
) -> NDArray[np.float32]:
    """Return features from the cache; compute them where it has none.

    Args:
        compute: From images, uint8 ``(M, 3, S, S)``, to features, float32 ``(M, D)``.
        batches: The images, N in all; read only where the features are computed.
        number: N, at least 1.
        made_of: All that decides the features.
        cache: The cache folder.

    Returns:
        Features, float32 ``(N, D)``, mapped from the file, read-only.

    Raises:
        DataError: If the cache cannot be written.
    """

    def make(folder: Path) -> None:
        place, file = 0, None
        for images in batches:
            features = compute(images).numpy()
            if file is None:
                shape = (number, features.shape[1])
                file = np.lib.format.open_memmap(folder / _FILE, mode="w+", dtype=np.float32, shape=shape)
            file[place : place + len(features)] = features
            place += len(features)
        assert file is not None, "no images"
        assert place == number, (place, number)
        file.flush()

    entry = cached_entry("features", made_of, make, cache=cache)
    return np.load(entry / _FILE, mmap_mode="r")  # type: ignore[no-any-return]
