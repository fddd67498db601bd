"""The protocol of a head: networks, logits, loss, and cell logits for crack maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

CELL_PX = 8
"""Side of a cell, pixels of the network's input."""

SIDE_MULTIPLE_PX = 16
"""Sides of images for crack maps are multiples of this, pixels of the network's input."""


class CellScorer(Protocol):
    """A network that scores the cells of an image of any size.

    Attributes:
        positive_index: The class of the cells' logits.
        reach_px: Radius of a cell's receptive field, pixels; ``None`` until it is measured.
    """

    positive_index: int
    reach_px: int | None

    @property
    def head(self) -> nn.Module:
        """The layers behind the backbone."""

    def cells(self, images: Tensor) -> Tensor:
        """Return a logit per cell, float ``(N, 1, H / 8, W / 8)``, of normalised images ``(N, 3, H, W)``."""

    def logits(self, cells: Tensor) -> Tensor:
        """Pool cell logits into the logits of tiles, float ``(N, 2)``."""


class Head(Protocol):
    """The operations that depend on the head of a network."""

    def build(
        self, name: str, *, positive_index: int | None, settings: Mapping[str, Any], **options: Any
    ) -> nn.Module:
        """Return a network with this head and random weights.

        Args:
            name: ``plain_cnn`` or a timm model.
            positive_index: Index of the positive class, or ``None``.
            settings: Settings of all heads by name; a head ignores those of others.
            options: As for :func:`~crack_lightning.model.backbones.build_backbone`.

        Raises:
            ConfigError: If the network cannot be built, or not with this head.
        """

    def supports(self, name: str) -> bool:
        """Return whether a network has the features that this head needs."""

    def pretrained_module(self, network: nn.Module) -> nn.Module:
        """Return the submodule that pretrained weights are loaded into."""

    def logits(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return logits, float ``(N, K)``, of normalised images; the head computes in float32."""

    def training_outputs(
        self, network: nn.Module, images: Tensor, masks: Tensor | None, known: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return logits, float ``(N, K)``, and the head's own loss, float ``()``, or ``None`` without one.

        Args:
            network: A network of :meth:`build`.
            images: Normalised, float ``(N, 3, H, W)``.
            masks: Coverage by cracks, float ``(N, 1, H, W)`` in ``[0, 1]``, or ``None``; its sides may be
                larger than those of the images.
            known: Whether the mask of a tile is known, bool ``(N,)``, or ``None``.
        """

    def cell_scorer(self, network: nn.Module) -> CellScorer | None:
        """Return a network that scores cells, for crack maps; ``None`` for a head without cells."""
