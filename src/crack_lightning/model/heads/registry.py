"""Registry of heads: one entry each, read by configuration, factory, classifier and sweeps; without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from crack_lightning.model.heads.protocol import Head


@dataclass(frozen=True, kw_only=True)
class HeadEntry:
    """A head and its properties.

    Attributes:
        meaning: One phrase for the help of ``model.head``.
        load: Imports and returns the head.
        needs_masks: Whether it is trained on crack masks; ``model.head=auto`` then selects it if there are
            masks, and it takes two classes and no mixed labels (MixUp, CutMix).
        fits_on_features: Whether ``recipe=probe`` can fit it.
        any_size: Whether inference may be at other sizes than training.
        strides: Strides of the features that it needs; empty if it takes any network.
        settings: Configuration keys that no other head reads.
    """

    meaning: str
    load: Callable[[], Head]
    needs_masks: bool
    fits_on_features: bool
    any_size: bool
    strides: tuple[int, ...] = ()
    settings: tuple[str, ...] = ()


def _pooled() -> Head:
    from crack_lightning.model.heads.pooled import Pooled

    return Pooled()


def _local() -> Head:
    from crack_lightning.model.heads.local import Local

    return Local()


HEADS = {
    "pooled": HeadEntry(
        meaning="one score per tile, as the network has it",
        load=_pooled,
        needs_masks=False,
        fits_on_features=True,
        any_size=False,
    ),
    "local": HeadEntry(
        meaning="a score every 8 pixels and top-k pooling of them",
        load=_local,
        needs_masks=True,
        fits_on_features=False,
        any_size=True,
        strides=(4, 8, 16),
        settings=("recipe.loss.cells", "model.top_k_fraction"),
    ),
}
DEFAULT_HEAD = "pooled"
"""The head that ``model.head=auto`` selects without masks."""


def build_network(name: str, *, head: str, **options: Any) -> nn.Module:
    """Build a network with its head and random weights.

    Args:
        name: ``plain_cnn`` or a timm model.
        head: A name in ``HEADS``.
        options: As for :meth:`~crack_lightning.model.heads.protocol.Head.build`.

    Raises:
        ConfigError: If the network cannot be built, or not with such a head.
    """
    return HEADS[head].load().build(name, **options)


def network_bytes(name: str, *, head: str, image_size: int) -> int:
    """Return the bytes of a network's weights for two classes, as in a checkpoint.

    Args:
        name: As for :func:`build_network`.
        head: A name in ``HEADS``, or ``auto``, which counts as ``DEFAULT_HEAD``.
        image_size: Side of the square input in pixels.

    Raises:
        ConfigError: As for :func:`build_network`.
    """
    network = build_network(
        name,
        head=head if head in HEADS else DEFAULT_HEAD,
        positive_index=1,
        settings={},
        num_classes=2,
        drop_rate=0.0,
        drop_path_rate=0.0,
        image_size=image_size,
    )
    return sum(tensor.nbytes for tensor in network.state_dict().values())
