"""Backbones by name: the plain CNN and the networks of timm."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from crack_lightning.model.lean_timm import InvertedResidual, convert_sync_batchnorm, timm
from crack_lightning.runtime.errors import ConfigError

PLAIN_CNN = "plain_cnn"


class PlainCNN(nn.Module):
    """Three convolutions and two dense layers, the usual first network for METU tiles.

    Conv 16-32-32 (3 x 3, no padding, ReLU), each with a 2 x 2 max pool, Dense 256 with ReLU, Dense K; weights
    are initialised as in Keras (Glorot uniform, zero biases). Methods are named as in timm.

    Args:
        num_classes: K, outputs.
        image_size: Side of the square input in pixels, at least 22; the dense layer fixes it. 256 gives the
            7.4 M parameters of the published script.
        drop_rate: Dropout of the 256 units, in ``[0, 1)``.

    Raises:
        ConfigError: If the image is too small for three convolutions.
    """

    def __init__(self, *, num_classes: int, image_size: int = 256, drop_rate: float = 0.0) -> None:
        super().__init__()
        if image_size < 22:
            raise ConfigError(
                f"model.image_size: at least 22 px are expected for {PLAIN_CNN}, got {image_size}; "
                "set model.image_size=256."
            )
        side = image_size
        for _ in range(3):
            side = (side - 2) // 2
        self.num_classes = num_classes
        self.num_features, self.head_hidden_size = 32, 256
        self.feature_info = [{"num_chs": 32, "reduction": 8, "module": "features"}]
        self.features = nn.Sequential(*_block(3, 16), *_block(16, 32), *_block(32, 32))
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(32 * side * side, 256), nn.ReLU())
        self.head_drop = nn.Dropout(drop_rate)
        self.classifier = nn.Linear(256, num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward_features(self, image: Tensor) -> Tensor:
        """Return the last pooled map, float ``(N, 32, h, w)``, of images ``(N, 3, H, W)``."""
        features: Tensor = self.features(image)
        return features

    def forward_head(self, features: Tensor, *, pre_logits: bool = False) -> Tensor:
        """Return logits ``(N, K)``, or the 256 units before them, of a map ``(N, 32, h, w)``."""
        hidden: Tensor = self.head_drop(self.hidden(features))
        return hidden if pre_logits else self.classifier(hidden)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits, float ``(N, K)``, of normalised images, float ``(N, 3, H, W)``."""
        return self.forward_head(self.forward_features(image))

    def get_classifier(self) -> nn.Module:
        """Return the last layer."""
        return self.classifier


def _block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, kernel_size=3), nn.ReLU(), nn.MaxPool2d(2)


def build_backbone(
    name: str, *, num_classes: int, drop_rate: float, drop_path_rate: float, image_size: int
) -> nn.Module:
    """Build a network with random weights.

    Args:
        name: ``plain_cnn`` or a name from timm, with or without a tag (``resnet18``, ``resnet18.tv_in1k``).
        num_classes: K, outputs of the classifier.
        drop_rate: Dropout before the classifier, in ``[0, 1)``.
        drop_path_rate: Stochastic depth, in ``[0, 1)``.
        image_size: Side of the square input in pixels; only networks of a fixed input size read it.

    Returns:
        A module from images ``(N, 3, H, W)`` to logits ``(N, K)``, with timm's ``forward_features``,
        ``forward_head`` and ``get_classifier``.

    Raises:
        ConfigError: If the name is unknown or refused, or the network does not take the options.
    """
    check_name(name)
    if name == PLAIN_CNN:
        return PlainCNN(num_classes=num_classes, image_size=image_size, drop_rate=drop_rate)
    options: dict[str, Any] = {"drop_rate": drop_rate, "drop_path_rate": drop_path_rate}
    options = {key: value for key, value in options.items() if value} | size_option(name, image_size)
    try:
        model: nn.Module = timm.create_model(name, pretrained=False, num_classes=num_classes, **options)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        given = ", ".join(f"{key}={value}" for key, value in options.items()) or "no option"
        raise ConfigError(
            f"model.name: timm cannot build '{name}' with {given} ({error}); "
            "leave the options out or choose another network."
        ) from error
    _init_blocks_as_identity(model)
    _init_head_near_zero(model)
    _disable_inplace(model)
    return model


def _disable_inplace(model: nn.Module) -> None:
    """Make activations out of place: where the gradient needs their input, autograd would copy it first.

    ReLU stays in place, as its gradient needs the output alone.
    """
    for module in model.modules():
        if isinstance(module, nn.ReLU6 | nn.SiLU | nn.Hardswish | nn.Hardsigmoid):
            module.inplace = False


def _init_blocks_as_identity(model: nn.Module) -> None:
    """Initialise inverted residual blocks as the identity (Goyal et al., 2017, section 5.1)."""
    for block in model.modules():
        if isinstance(block, InvertedResidual) and block.has_skip:
            nn.init.zeros_(block.bn3.weight)


def _init_head_near_zero(model: nn.Module) -> None:
    """Initialise the classifier near zero (Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 5.1).

    The initialisation of some networks in timm suits many classes; with two, the first losses are ten times
    those of chance.
    """
    for module in head_modules(model):
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.normal_(module.weight, std=0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def check_name(name: str) -> None:
    """Refuse a name that cannot be built safely.

    Raises:
        ConfigError: If the name is neither ``plain_cnn`` nor timm's, or is a RepVGG.
    """
    if name.startswith("repvgg"):
        raise ConfigError(
            f"model.name: '{name}' is refused, because training RepVGG with channels_last on a CPU crashes "
            "Python; choose another network, such as resnet18."
        )
    if name != PLAIN_CNN and not _is_timm_name(name):
        raise ConfigError(
            f"model.name: '{PLAIN_CNN}' or a name from timm.list_models() is expected, got '{name}'; "
            "hf-hub: and local-dir: names are refused, set model.weights=<path> for weights of your own."
        )


def _is_timm_name(name: str) -> bool:
    if ":" in name or "/" in name or not timm.is_model(name.partition(".")[0]):
        return False
    return "." not in name or name in timm.list_models(name, pretrained=True)


def published_config(name: str) -> Any:
    """Return timm's pretrained configuration of a network: input size, normalisation, URL of its weights."""
    published = timm.get_pretrained_cfg(name)
    assert published is not None, name
    return published


def size_option(name: str, image_size: int) -> dict[str, Any]:
    """Return ``{"img_size": image_size}`` for a timm network of fixed input size, else nothing."""
    return {"img_size": image_size} if published_config(name).fixed_input_size else {}


def normalisation(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel in ``[0, 1]`` for the network's pretrained weights.

    They are 0 and 1 for the plain CNN.
    """
    check_name(name)
    if name == PLAIN_CNN:
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    published = published_config(name)
    return tuple(map(float, published.mean)), tuple(map(float, published.std))


def head_modules(model: nn.Module) -> tuple[nn.Module, ...]:
    """Return the last layer, or the several last layers of a distilled network."""
    last = model.get_classifier()  # type: ignore[operator]
    return tuple(last) if isinstance(last, tuple | list | nn.ModuleList) else (last,)


def head_keys(model: nn.Module) -> frozenset[str]:
    """Return the names of the classifier's tensors in the state of the model."""
    last = head_modules(model)
    prefixes = tuple(f"{name}." for name, module in model.named_modules() if any(module is x for x in last))
    return frozenset(key for key in model.state_dict() if key.startswith(prefixes))


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the parameters of the backbone and those of the head (the classifier), each in model order."""
    of_head = head_keys(model)
    named = list(model.named_parameters())
    return [p for key, p in named if key not in of_head], [p for key, p in named if key in of_head]


def synchronised(model: nn.Module) -> nn.Module:
    """Return the network with synchronised BatchNorm, the same parameters and names.

    Uses timm's conversion: torch's, which Lightning uses, drops the activations within timm's layers.
    """
    converted: nn.Module = convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return converted


def uses_batch_statistics(model: nn.Module) -> bool:
    """Return whether BatchNorm layers take their statistics from the batch in the model's present mode."""
    kinds = nn.modules.batchnorm._BatchNorm  # noqa: SLF001  # the only common base class
    return any(isinstance(layer, kinds) and layer.training for layer in model.modules())


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable and frozen parameters together."""
    return sum(parameter.numel() for parameter in model.parameters())
