"""A model knows the tiles again that it has seen, and no others."""

from __future__ import annotations

from hashlib import sha256

import torch

from crack_lightning.model.train_fingerprints import is_known, pack_digests

CRACK, INTACT, NEW = (sha256(name).hexdigest() for name in (b"crack", b"intact", b"new"))


def test_a_tile_is_known_by_its_digest() -> None:
    seen = pack_digests([CRACK, INTACT, CRACK])
    assert (seen.shape, seen.dtype) == ((2, 16), torch.uint8)
    assert is_known([NEW, INTACT, CRACK], seen).tolist() == [False, True, True]


def test_who_has_seen_nothing_knows_nothing() -> None:
    assert pack_digests([]).shape == (0, 16)
    assert is_known([CRACK], pack_digests([])).tolist() == [False]
    assert is_known([], pack_digests([CRACK])).tolist() == []
