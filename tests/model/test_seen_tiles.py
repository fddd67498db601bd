"""A model knows the tiles again that it has seen, and no others."""

from __future__ import annotations

from hashlib import sha256

import torch

from crack_lightning.model.seen_tiles import known, packed

CRACK, INTACT, NEW = (sha256(name).hexdigest() for name in (b"crack", b"intact", b"new"))


def test_a_tile_is_known_by_its_digest() -> None:
    seen = packed([CRACK, INTACT, CRACK])
    assert (seen.shape, seen.dtype) == ((2, 16), torch.uint8)
    assert known([NEW, INTACT, CRACK], seen).tolist() == [False, True, True]


def test_who_has_seen_nothing_knows_nothing() -> None:
    assert packed([]).shape == (0, 16)
    assert known([CRACK], packed([])).tolist() == [False]
    assert known([], packed([CRACK])).tolist() == []
