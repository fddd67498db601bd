"""The local head: a logit per cell of 8 x 8 pixels, and a tile's score by top-k pooling of the cells.

A crack is thin and local, and global pooling averages it away. The head reads features of strides 4, 8, 16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from crack_lightning.model.backbones import build_backbone
from crack_lightning.model.backends.autocast import disable_autocast
from crack_lightning.model.heads.protocol import CELL_PX
from crack_lightning.model.heads.registry import HEADS
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STRIDES = HEADS["local"].strides
TOP_K_FRACTION = 0.03
"""Share of a tile's cells that top-k pooling averages; also used for checkpoints that store none."""

CRACK_COVERAGE = 0.25
"""A cell is a crack cell if cracks cover at least this share of one of its pixels."""

_CHANNELS, _HIDDEN = 48, 64
_INITIAL_BIAS = -3.0  # few cells are crack cells


class LocalHead(nn.Module):
    """A convolutional head from features of three strides to a logit per cell.

    Args:
        channels: Channels of the features at ``STRIDES``.
        drop_rate: Dropout of channels before the last layer.
    """

    def __init__(self, channels: Sequence[int], *, drop_rate: float = 0.0) -> None:
        super().__init__()
        self.reduce = nn.ModuleList(_layer(number, _CHANNELS, kernel_size=1) for number in channels)
        self.fuse = nn.Sequential(
            _layer(_CHANNELS * len(channels), _HIDDEN, kernel_size=3),
            _layer(_HIDDEN, _HIDDEN, kernel_size=3),
            nn.Dropout2d(drop_rate),
        )
        self.cell = nn.Conv2d(_HIDDEN, 1, kernel_size=1)
        nn.init.zeros_(self.cell.weight)
        assert self.cell.bias is not None
        nn.init.constant_(self.cell.bias, _INITIAL_BIAS)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return logits, float ``(N, 1, h, w)``, of features ``(N, C, H / stride, W / stride)``."""
        fine, middle, coarse = (layer(part) for layer, part in zip(self.reduce, features, strict=True))
        fine = F.max_pool2d(fine, 2)
        coarse = F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        cells: Tensor = self.cell(self.fuse(torch.cat([fine, middle, coarse], dim=1)))
        return cells


class LocalNetwork(nn.Module):
    """A backbone up to stride 16 with a local head, for two classes.

    Args:
        name: A network of timm that has features at ``STRIDES``.
        num_classes: 2.
        positive_index: The class of the cells' logits.
        drop_rate: Dropout of the head's channels.
        drop_path_rate: Stochastic depth of the backbone.
        image_size: Side of the square input in pixels.
        top_k_fraction: Share of a tile's cells that top-k pooling averages, which determines k at
            ``image_size``; at other sizes k is the same.

    Attributes:
        reach_px: Radius of a cell's receptive field, pixels; ``None`` until it is measured.

    Raises:
        ConfigError: If the network lacks such features, or there are not two classes.
    """

    def __init__(
        self,
        name: str,
        *,
        num_classes: int,
        positive_index: int | None,
        drop_rate: float,
        drop_path_rate: float,
        image_size: int,
        top_k_fraction: float = TOP_K_FRACTION,
    ) -> None:
        super().__init__()
        if num_classes != 2 or positive_index is None:
            missing = " and no positive class" * (positive_index is None)
            raise ConfigError(
                f"model.head: local expects two classes, one of them positive, got {num_classes} classes"
                f"{missing}; use model.head=pooled."
            )
        trunk: Any = build_backbone(
            name, num_classes=2, drop_rate=0.0, drop_path_rate=drop_path_rate, image_size=image_size
        )
        self.positive_index = positive_index
        self.top_k_fraction = top_k_fraction
        self._k = top_k_fraction * (-(-image_size // CELL_PX)) ** 2
        self.levels = _levels(name, trunk)
        trunk.prune_intermediate_layers(self.levels, prune_norm=True, prune_head=True)
        self.trunk = trunk
        self.reach_px: int | None = None
        channels = [trunk.feature_info[level]["num_chs"] for level in self.levels]
        self.head = LocalHead(channels, drop_rate=drop_rate)

    def cells(self, images: Tensor) -> Tensor:
        """Return a logit a cell, float ``(N, 1, H / 8, W / 8)`` rounded up, of images ``(N, 3, H, W)``."""
        height, width = images.shape[-2:]
        padded = F.pad(images, (0, -width % STRIDES[-1], 0, -height % STRIDES[-1]), mode="replicate")
        features = self.trunk.forward_intermediates(
            padded, indices=self.levels, intermediates_only=True, stop_early=True, output_fmt="NCHW"
        )
        with disable_autocast(images):
            cells: Tensor = self.head([part.float() for part in features])
        return cells[..., : -(-height // CELL_PX), : -(-width // CELL_PX)]

    def logits(self, cells: Tensor) -> Tensor:
        """Return logits, float ``(N, 2)``: the score of the tile at the positive class, 0 at the other."""
        score = topk_mean(cells, fraction=min(1.0, self._k / int(cells[0].numel())))
        pair = [torch.zeros_like(score), score]
        return torch.stack(pair if self.positive_index == 1 else pair[::-1], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float ``(N, 2)``, of normalised images, float ``(N, 3, H, W)``."""
        return self.logits(self.cells(images))

    def extra_repr(self) -> str:
        """Return the settings that affect logits; converted networks are cached by weights and this text."""
        return f"positive_index={self.positive_index}, top_k_fraction={self.top_k_fraction}"

    def get_classifier(self) -> nn.Module:
        """Return the head; the name is timm's."""
        return self.head


def topk_mean(cells: Tensor, *, fraction: float = TOP_K_FRACTION) -> Tensor:
    """Return the mean of the top-k cells of a tile, k at least 1, float ``(N,)``, of logits ``(N, 1, h, w)``.

    >>> topk_mean(torch.tensor([[[[0.0, 2.0], [4.0, 1.0]]]]), fraction=0.5)
    tensor([3.])
    """
    flat = cells.flatten(1)
    k = max(1, round(fraction * int(flat.shape[1])))  # int: tracing makes the shape a tensor
    return flat.topk(k, dim=1).values.mean(dim=1)


def cell_loss(cells: Tensor, masks: Tensor, known: Tensor) -> Tensor:
    """Return the mean binary cross entropy of the cells of tiles with a known mask.

    Args:
        cells: Logits, float ``(N, 1, h, w)``.
        masks: Coverage by cracks in ``[0, 1]``, float ``(N, 1, H, W)``, at the images' size; see
            ``CRACK_COVERAGE``.
        known: Whether a tile's mask is known, bool ``(N,)``.

    Returns:
        Mean loss in nats, float32 ``()``; 0 where no mask is known.
    """
    targets = (F.max_pool2d(masks, CELL_PX, ceil_mode=True) >= CRACK_COVERAGE).float()
    losses = F.binary_cross_entropy_with_logits(cells.float(), targets, reduction="none").mean(dim=(1, 2, 3))
    return (losses * known).sum() / known.sum().clamp_min(1)


class Local:
    """The local head; implements :class:`~crack_lightning.model.heads.protocol.Head`."""

    def build(
        self, name: str, *, positive_index: int | None, settings: Mapping[str, Any], **options: Any
    ) -> LocalNetwork:
        """Return a network that scores cells; reads the setting ``top_k_fraction``."""
        fraction = settings.get("top_k_fraction", TOP_K_FRACTION)
        return LocalNetwork(name, positive_index=positive_index, top_k_fraction=fraction, **options)

    def supports(self, name: str) -> bool:
        """Return whether a network has features of ``STRIDES``."""
        with torch.device("meta"):
            trunk = build_backbone(name, num_classes=2, drop_rate=0.0, drop_path_rate=0.0, image_size=224)
        return _reductions(trunk) >= set(STRIDES)

    def pretrained_module(self, network: nn.Module) -> nn.Module:
        """Return the backbone."""
        trunk: nn.Module = self.cell_scorer(network).trunk
        return trunk

    def logits(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return logits, float ``(N, 2)``."""
        logits: Tensor = network(images)
        return logits

    def training_outputs(
        self, network: nn.Module, images: Tensor, masks: Tensor | None, known: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return logits, and the loss of the cells where there are masks."""
        scorer = self.cell_scorer(network)
        cells = scorer.cells(images)
        if masks is None or known is None:
            return scorer.logits(cells), None
        if masks.shape[-2:] != images.shape[-2:]:  # recipe.sizes resizes images only
            masks = F.adaptive_max_pool2d(masks, images.shape[-2:])
        loss = cell_loss(cells, masks, known)
        return scorer.logits(cells), loss

    def cell_scorer(self, network: nn.Module) -> LocalNetwork:
        """Return the network."""
        assert isinstance(network, LocalNetwork), type(network).__name__
        return network


def _layer(inputs: int, outputs: int, *, kernel_size: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _levels(name: str, trunk: Any) -> list[int]:
    """Return the indices of a network's features with the ``STRIDES``."""
    if not set(STRIDES) <= _reductions(trunk):
        strides = ", ".join(map(str, sorted(_reductions(trunk)))) or "none"
        raise ConfigError(
            f"model.head: local needs features of strides {', '.join(map(str, STRIDES))}, and '{name}' has "
            f"{strides}; use model.head=pooled, or a network such as efficientnet_lite0."
        )
    reductions = [level["reduction"] for level in trunk.feature_info]
    return [len(reductions) - 1 - reductions[::-1].index(stride) for stride in STRIDES]


def _reductions(trunk: Any) -> set[int]:
    """Return the strides of a network's intermediate features."""
    info = trunk.feature_info if hasattr(trunk, "forward_intermediates") else []
    return {level["reduction"] for level in info}
