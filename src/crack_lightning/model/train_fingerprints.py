"""Train fingerprints: digests of the tiles that a model was trained or validated on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

DIGEST_BYTES = 16


def pack_digests(sha256: Iterable[str]) -> torch.Tensor:
    """Return the first 16 bytes of hex digests, without duplicates, uint8 ``(M, 16)``."""
    joined = b"".join(bytes.fromhex(digest)[:DIGEST_BYTES] for digest in sorted(set(sha256)))
    return torch.from_numpy(np.frombuffer(joined, np.uint8).copy()).view(-1, DIGEST_BYTES)


def is_known(sha256: Iterable[str], seen: torch.Tensor) -> NDArray[np.bool_]:
    """Return whether each of N hex digests is among packed ones, uint8 ``(M, 16)``; bool ``(N,)``."""
    among = {row.tobytes() for row in seen.numpy()}
    return np.array([bytes.fromhex(digest)[:DIGEST_BYTES] in among for digest in sha256], dtype=bool)
