"""The inference part of a classifier, without Lightning, whose import takes seconds."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from crack_lightning.model.heads.local import TOP_K_FRACTION
from crack_lightning.model.heads.registry import HEADS
from crack_lightning.model.ood.detector import OODDetector
from crack_lightning.model.train_fingerprints import pack_digests

if TYPE_CHECKING:
    from crack_lightning.model.heads.protocol import CellScorer


class InferenceParts(nn.Module):
    """A backbone with its normalisation, train fingerprints and OOD detector.

    Args:
        name: ``plain_cnn`` or a timm model.
        head: A name in :data:`~crack_lightning.model.heads.registry.HEADS`.
        class_names: Names by class index, K of them.
        positive_class: The class that means "crack", or ``None``.
        image_size: Side of the square input in pixels.
        mean: Channel means of the normalisation, of values in ``[0, 1]``.
        std: Channel standard deviations of the normalisation.
        drop_rate: Dropout before the head.
        drop_path_rate: Stochastic depth.
        top_k_fraction: Top-k fraction of a tile's cells; local heads only.

    Attributes:
        head: The head of the backbone.
        hparams: The hyper-parameters that rebuild the whole classifier, plain values.
        train_fingerprints: Digests of training and validation tiles, uint8 ``(M, 16)``.
        ood_detector: The OOD detector, or ``None``.
        weights_caution: A warning if a part of the backbone began at random, or ``None``.
    """

    hparams: Any
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        name: str,
        class_names: list[str],
        positive_class: str | None,
        image_size: int,
        mean: list[float],
        std: list[float],
        drop_rate: float,
        drop_path_rate: float,
        head: str = "pooled",
        top_k_fraction: float = TOP_K_FRACTION,
    ) -> None:
        super().__init__()
        self.head = HEADS[head].load()
        self.backbone = self.head.build(
            name,
            num_classes=len(class_names),
            positive_index=None if positive_class is None else class_names.index(positive_class),
            drop_rate=drop_rate,
            drop_path_rate=drop_path_rate,
            image_size=image_size,
            settings={"top_k_fraction": top_k_fraction},
        ).to(memory_format=torch.channels_last)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.train_fingerprints = pack_digests([])
        self.ood_detector: OODDetector | None = None
        self.weights_caution: str | None = None

    @property
    def cell_scorer(self) -> CellScorer | None:
        """The backbone as a network that scores cells; ``None`` where its head does not."""
        return self.head.cell_scorer(self.backbone)

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Load the backbone's weights, train fingerprints and OOD detector from a checkpoint."""
        prefix = "backbone."
        state = checkpoint["state_dict"].items()
        self.backbone.load_state_dict(
            {name.removeprefix(prefix): value for name, value in state if name.startswith(prefix)}
        )
        self.load_extras(checkpoint)

    def extras(self) -> dict[str, Any]:
        """Return train fingerprints and the values of the OOD detector, for a checkpoint."""
        detector = None if self.ood_detector is None else self.ood_detector.values()
        return {"train_fingerprints": self.train_fingerprints, "ood_detector": detector}

    def load_extras(self, checkpoint: dict[str, Any]) -> None:
        """Load train fingerprints and OOD detector from a checkpoint."""
        self.train_fingerprints = checkpoint.get("train_fingerprints", self.train_fingerprints)
        if values := checkpoint.get("ood_detector"):
            self.ood_detector = OODDetector.from_values(values)


class InferenceModel(InferenceParts):
    """A trained :class:`~crack_lightning.model.classifier.CrackClassifier` for inference alone.

    Args:
        hyper_parameters: Those of the classifier; the ones of training are stored and not read. Temperature
            and threshold have the classifier's defaults.
    """

    def __init__(self, **hyper_parameters: Any) -> None:
        own = [name for name in signature(InferenceParts).parameters if name in hyper_parameters]
        super().__init__(**{name: hyper_parameters[name] for name in own})
        self.hparams = {"temperature": 1.0, "threshold": 0.5} | hyper_parameters
