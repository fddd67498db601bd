"""The cache of a frozen backbone's features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.runtime.cache import cached_entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

_FILE = "features.npy"


def cached_features(
    batches: Iterable[Tensor],
    *,
    number: int,
    fingerprint: Mapping[str, object],
    cache: Path,
) -> NDArray[np.float32]:
    """Return features from the cache, computing them on a miss.

    Args:
        batches: Features to cache, float32 ``(M, D)`` each, N in all; iterated on a miss only.
        number: N, at least 1.
        fingerprint: Everything that determines the features.
        cache: The cache folder.

    Returns:
        Features, float32 ``(N, D)``, mapped from the file, read-only.

    Raises:
        DataError: If the cache cannot be written.
    """

    def make(folder: Path) -> None:
        place, file = 0, None
        for batch in batches:
            features = batch.numpy()
            if file is None:
                shape = (number, features.shape[1])
                file = np.lib.format.open_memmap(folder / _FILE, mode="w+", dtype=np.float32, shape=shape)
            file[place : place + len(features)] = features
            place += len(features)
        assert file is not None, "no images"
        assert place == number, (place, number)
        file.flush()

    entry = cached_entry("features", fingerprint, make, cache=cache)
    return np.load(entry / _FILE, mmap_mode="r")  # type: ignore[no-any-return]
