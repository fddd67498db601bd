"""The node ``model``: network and initial weights."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from crack_lightning.model.heads.registry import DEFAULT_HEAD, HEADS
from crack_lightning.runtime.errors import ConfigError, nearest
from crack_lightning.runtime.settings import check_settings, setting

PLAIN_CNN = "plain_cnn"
_HEADS = "; ".join(f"`{name}` gives {head.meaning}" for name, head in HEADS.items())
WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
_REGISTERED = re.compile(r"^@register_model\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)


@dataclass
class ModelConfig:
    """The network and its initial weights."""

    name: str = setting(
        "mobilenetv2_100",
        "Network.",
        values="`plain_cnn`, or a name from timm, also with the tag of its weights (`resnet18.tv_in1k`)",
    )
    label: str = setting(
        "",
        "Short name for folders and reports; empty for `model.name`.",
        values="letters, digits, `.`, `_`, `-` or `+`",
    )
    weights: str = setting(
        "none",
        "Initial weights.",
        values=f"`none`, `imagenet`, or a path ending in {', '.join(WEIGHT_SUFFIXES)}",
        text="path",
    )
    head: str = setting(
        "auto",
        f"{_HEADS}; `auto` is a head trained on masks if the training tiles have masks and network and "
        f"recipe allow it, else {DEFAULT_HEAD}.",
        choices=("auto", *HEADS),
    )
    top_k_fraction: float = setting(
        0.03,
        "Top-k pooling of a local head: fraction of a tile's cells whose scores are averaged. At smaller "
        "sizes (`recipe.sizes`) k is the same number of cells.",
        low=1e-6,
        high=1,
    )
    image_size: int = setting(
        96, "Side of the square input in pixels; tiles are resized to it.", low=32, high=4096
    )
    drop_rate: float = setting(0.0, "Dropout before the classifier.", low=0, high=0.95)
    drop_path_rate: float = setting(
        0.0,
        "Stochastic depth: share of a network's branches left out at random in training.",
        low=0,
        high=0.95,
    )
    scratch_lr: float = setting(
        3e-3,
        "Learning rate that suits the network from scratch, where `optimizer.lr` is not set.",
        low=1e-9,
        high=1000,
    )

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_weights(self.name, self.weights)
        if not re.fullmatch(r"\w[\w.+-]*", self.short_name):
            raise ConfigError(
                f"model.label: expected letters, digits, '.', '_', '-' or '+', "
                f"got '{self.label}'; leave it out."
            )
        check_settings(self, "model")
        if self.name == PLAIN_CNN and self.head != "auto" and HEADS[self.head].strides:
            raise ConfigError(
                f"model.head: {self.head} needs features of several strides, which {PLAIN_CNN} lacks; "
                "use model.head=pooled, or a network of timm."
            )
        if self.name == PLAIN_CNN and self.drop_path_rate:
            raise ConfigError(
                f"model.drop_path_rate: {PLAIN_CNN} does not read it, got {self.drop_path_rate}; "
                "leave it out."
            )

    @property
    def short_name(self) -> str:
        """The label, or the name where none is given."""
        return self.label or self.name


@cache
def timm_model_names() -> frozenset[str]:
    """Return the networks that timm registers, read from its source: importing it takes seconds."""
    spec = find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("model.name: timm is expected to be installed, got none; run pip install timm.")
    sources = sorted(Path(spec.submodule_search_locations[0], "models").glob("*.py"))
    return frozenset(
        name for path in sources for name in _REGISTERED.findall(path.read_text(encoding="utf-8"))
    )


def _check_name(name: str) -> None:
    if not name:
        raise ConfigError(
            "model.name: expected a network of timm, got none; give one, as in model.name=resnet26."
        )
    if name.startswith("repvgg"):
        raise ConfigError(
            f"model.name: '{name}' is refused, because training RepVGG with channels_last on a CPU crashes "
            "Python; use another network, such as model=resnet18."
        )
    if name.startswith(("hf-hub:", "hf_hub:", "local-dir:")):
        raise ConfigError(
            f"model.name: expected a network that timm itself has, got '{name}', which would bring its own; "
            "give the network's name, and your weights by model.weights=<path>."
        )
    names = timm_model_names() | {PLAIN_CNN}
    if name.partition(".")[0] not in names and not _registered_by_plugin(name):
        match = nearest(name, names, cutoff=0)
        raise ConfigError(
            f"model.name: expected {PLAIN_CNN} or a network of timm, got '{name}'; did you mean {match}?"
        )


def _registered_by_plugin(name: str) -> bool:
    timm = sys.modules.get("timm")  # a plugin that registers a network has imported it
    return timm is not None and bool(timm.is_model(name))


def _check_weights(name: str, weights: str) -> None:
    if weights not in ("none", "imagenet") and not weights.lower().endswith(WEIGHT_SUFFIXES):
        match = nearest(weights, ("none", "imagenet"))
        raise ConfigError(
            f"model.weights: expected none, imagenet, or a path ending in {', '.join(WEIGHT_SUFFIXES)}, "
            f"got '{weights}'; " + (f"did you mean {match}?" if match else "set one of them.")
        )
    if name == PLAIN_CNN and weights == "imagenet":
        raise ConfigError(
            f"model.weights: expected none or a path, as {PLAIN_CNN} has no ImageNet weights, "
            "got 'imagenet'; set model.weights=none, or use model=efficientnet_lite0."
        )
