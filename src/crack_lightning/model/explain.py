"""Explanation maps: the evidence of a network for a class by position (HiResCAM, class activation map)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from crack_lightning.model.backbones import head_modules
from crack_lightning.model.backends.inference_modules import LogitNetwork
from crack_lightning.model.heads.protocol import CELL_PX
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from crack_lightning.model.backends.inference_model import InferenceParts

STRIDE_PX = 8


class Explainer:
    """Evidence maps of a class, whose mean over an image is the log odds of the class.

    The evidence at a position of a feature map is gradient times activation, summed over the channels
    (Draelos and Carin, "Use HiResCAM instead of Grad-CAM", 2020), times the number of positions; the
    remainder, such as biases of later layers, is spread evenly. On the last map of a network with global
    average pooling and a linear layer, this equals the class activation map (Zhou et al., "Learning Deep
    Features for Discriminative Localization", CVPR 2016).

    The last map is too coarse for a crack. In two trainings of the default network its localisation skills
    (energy / pointing; see :mod:`crack_lightning.evaluation.localisation`) were 0.34 / 0.34 and 0.77 / 0.70,
    those of the map at stride 8 were 0.83 / 0.83 and 0.85 / 0.94.

    Args:
        classifier: The model, in evaluation mode.
        stride: Largest stride of the feature map, pixels of the input; the deepest such map is used.

    Attributes:
        method: The name of the method.
        any_size: Whether the network takes images of other sizes than the model's square.

    Raises:
        ConfigError: If the network has no map in the layout (N, C, h, w).
    """

    def __init__(self, classifier: InferenceParts, *, stride: int = STRIDE_PX) -> None:
        from captum.attr import LayerGradientXActivation  # imported late: it takes a second

        self._network = _FeatureMapNetwork(classifier)
        self._num_classes = len(classifier.hparams["class_names"])
        name, size = classifier.hparams["name"], int(classifier.hparams["image_size"])
        info = getattr(classifier.backbone, "feature_info", None)
        if not info:
            raise _no_map(name)
        stages = {int(stage["reduction"]): stage for stage in info}
        used = max((reduction for reduction in stages if reduction <= stride), default=min(stages))
        last = used == max(stages)
        layer = self._network.last if last else classifier.backbone.get_submodule(stages[used]["module"])
        channels = classifier.backbone.num_features if last else stages[used]["num_chs"]
        self._gradients = LayerGradientXActivation(self._log_odds, layer)
        self._log_odds_values: Tensor | None = None
        blank = torch.zeros((1, 3, size, size), dtype=torch.uint8)
        shape = self._products(blank, torch.zeros(1, dtype=torch.int64)).shape
        if len(shape) != 4 or shape[1] != channels:
            raise _no_map(name)
        wide = torch.zeros((1, 3, size, size + max(stages)), dtype=torch.uint8)
        self.any_size = self._accepts(wide)
        exact = last and self._network.has_linear_pooling(shape)
        self.method = (
            "class activation map" if exact else f"gradient times activation (HiResCAM) at stride {used}"
        )

    def __call__(self, images: Tensor, of_class: Tensor) -> Tensor:
        """Return the evidence for a class in each image.

        Args:
            images: uint8 ``(N, 3, S, S)``.
            of_class: Class indices, int64 ``(N,)``.

        Returns:
            Evidence in log odds, float32 ``(N, h, w)`` on the CPU; the mean of each map is the logit of its
            class less the mean of the others' logits.
        """
        evidence = self._products(images, of_class).sum(dim=1)
        assert self._log_odds_values is not None, "set by the forward pass"
        remainder = self._log_odds_values.view(-1, 1, 1) - evidence.sum(dim=(1, 2), keepdim=True)
        return (evidence * evidence[0].numel() + remainder).float().cpu()

    def _accepts(self, images: Tensor) -> bool:
        try:
            self._products(images, torch.zeros(1, dtype=torch.int64))
        except (AssertionError, RuntimeError):  # a dense layer or an embedding has a fixed size
            return False
        return True

    def _products(self, images: Tensor, of_class: Tensor) -> Tensor:
        device = next(self._network.backbone.parameters()).device  # a backend may have moved it
        inputs = self._network.to(device).normalised(images.to(device)).requires_grad_()
        products: Tensor = self._gradients.attribute(
            inputs, additional_forward_args=of_class.to(device)
        ).detach()
        return products

    def _log_odds(self, inputs: Tensor, of_class: Tensor) -> Tensor:
        logits = self._network(inputs)
        own = logits.gather(1, of_class[:, None])[:, 0]
        odds: Tensor = own - (logits.sum(dim=1) - own) / (self._num_classes - 1)
        self._log_odds_values = odds.detach()
        return odds


class LocalExplainer:
    """Evidence maps of a head that scores cells: the log odds of each cell.

    Args:
        classifier: The model, in evaluation mode, with such a head.

    Attributes:
        method: The name of the method.
        any_size: ``True``.
    """

    method = f"the local head's own log odds, at stride {CELL_PX}"
    any_size = True

    def __init__(self, classifier: InferenceParts) -> None:
        assert classifier.cell_scorer is not None, "a head with cells"
        self._scorer, self._inputs = classifier.cell_scorer, LogitNetwork(classifier)

    @torch.inference_mode()
    def __call__(self, images: Tensor, of_class: Tensor) -> Tensor:
        """Return the evidence for a class in each image.

        Args:
            images: uint8 ``(N, 3, S, S)``.
            of_class: Class indices, int64 ``(N,)``.

        Returns:
            Evidence in log odds, float32 ``(N, S / 8, S / 8)``, rounded up, on the CPU.
        """
        device = next(self._inputs.backbone.parameters()).device  # a backend may have moved it
        inputs = self._inputs.to(device).normalised(images.to(device))
        odds = self._scorer.cells(inputs)[:, 0].float().cpu()
        own = (of_class.cpu() == self._scorer.positive_index).view(-1, 1, 1)
        return torch.where(own, odds, -odds)


def build_explainer(classifier: InferenceParts) -> Explainer | LocalExplainer:
    """Return the explainer of a classifier.

    Raises:
        ConfigError: If the network has no map in the layout (N, C, h, w).
    """
    return Explainer(classifier) if classifier.cell_scorer is None else LocalExplainer(classifier)


class _FeatureMapNetwork(LogitNetwork):
    """A classifier without its normalisation, whose last feature map is a named module."""

    def __init__(self, classifier: InferenceParts) -> None:
        super().__init__(classifier)
        self.last = nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, float ``(N, K)``, of normalised images, float ``(N, 3, S, S)``."""
        maps = self.last(self.backbone.forward_features(inputs))  # type: ignore[operator]
        logits: Tensor = self.backbone.forward_head(maps)  # type: ignore[operator]
        return logits

    def has_linear_pooling(self, shape: torch.Size) -> bool:
        """Return whether global average pooling and one linear layer follow the last map ``(1, C, h, w)``."""
        maps = torch.linspace(-1, 1, shape.numel(), device=self.mean.device).view(shape)
        with torch.inference_mode():
            pooled = self.backbone.forward_head(maps, pre_logits=True)  # type: ignore[operator]
        means, heads = maps.mean(dim=(2, 3)), head_modules(self.backbone)
        linear = len(heads) == 1 and isinstance(heads[0], nn.Linear)
        return linear and pooled.shape == means.shape and torch.allclose(pooled, means, atol=1e-5)


def _no_map(name: str) -> ConfigError:
    return ConfigError(
        f"explain: the network '{name}' has no map of its image in the layout (N, C, h, w), which a "
        "convolutional network has; leave explain out, or use another model."
    )
