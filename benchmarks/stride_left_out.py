"""A plugin of a run: its local head sees nothing of the features of one stride, ``STRIDE_LEFT_OUT``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from crack_lightning.model.heads.local import STRIDES, LocalHead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_LEFT_OUT = STRIDES.index(int(os.environ["STRIDE_LEFT_OUT"]))
_whole = LocalHead.forward


def _forward(self: LocalHead, features: Sequence[Tensor]) -> Tensor:
    blank = [part * 0 if place == _LEFT_OUT else part for place, part in enumerate(features)]
    return _whole(self, blank)


LocalHead.forward = _forward  # type: ignore[method-assign]
