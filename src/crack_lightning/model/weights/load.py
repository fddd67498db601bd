"""Weights for a built network: none, ImageNet's, or those of a file; nothing in a file is ever executed."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from crack_lightning.model.backbones import PLAIN_CNN, head_keys
from crack_lightning.model.weights.pretrained import (
    adapt_pretrained,
    fetch_pretrained,
    packaged_to_timm,
    packaged_weights,
)
from crack_lightning.runtime.errors import CheckpointError
from crack_lightning.runtime.files.paths import expand_user

if TYPE_CHECKING:
    from torch import nn

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
MOST_RANDOM = 0.01
"""Largest share of a backbone's values that may be missing in a file, and stay random."""

_NAMED = 3
_WRAPPERS = ("state_dict", "model", "model_state_dict", "state_dict_ema", "model_ema")
_PREFIXES = ("", "module.", "model.", "backbone.", "network.", "net.", "_orig_mod.", "model._orig_mod.")


@dataclass(frozen=True, kw_only=True)
class LoadedWeights:
    """The result of loading weights.

    Attributes:
        notes: Lines for the log: what was loaded from where, and whether the head was skipped.
        random: Names of the backbone's tensors that the file lacks and that stay random.
        random_share: Their share of the backbone's values, in ``[0, MOST_RANDOM]``.
    """

    notes: list[str] = field(default_factory=list)
    random: list[str] = field(default_factory=list)
    random_share: float = 0.0

    @property
    def caution(self) -> str | None:
        """A warning if a part of the backbone stays random, else ``None``."""
        if not self.random:
            return None
        named = ", ".join(self.random[:_NAMED]) + ", …" * (len(self.random) > _NAMED)
        return (
            f"{self.random_share:.2%} of the backbone's weights were not in the file and began at random: "
            f"{named}."
        )


def load_weights(
    model: nn.Module, *, name: str, weights: str, image_size: int | None = None
) -> LoadedWeights:
    """Load weights into a network of :func:`~crack_lightning.model.backbones.build_backbone`.

    Args:
        model: The network, changed in place.
        name: Its name, as given to ``build_backbone``.
        weights: ``none``, ``imagenet``, or a path ending in one of ``SUFFIXES``.
        image_size: Side of the square input in pixels, which a network of fixed input size was built for.

    Returns:
        What was loaded, and which tensors of the backbone stay random; empty for ``none``.

    Raises:
        CheckpointError: If the weights cannot be found, read safely, or matched to the network, or more
            than ``MOST_RANDOM`` of its backbone stays random.
    """
    if weights == "none":
        return LoadedWeights()
    if weights == "imagenet":
        state, origin = _imagenet(name, image_size)
    else:
        state, origin = read_weights(Path(expand_user(str(weights)))), f"'{weights}'"
    return _load_matching(model, name, state, origin)


def _imagenet(name: str, image_size: int | None) -> tuple[dict[str, Tensor], str]:
    if name == PLAIN_CNN:
        raise CheckpointError(
            f"model.weights: none or a path is expected for {PLAIN_CNN}, which has no ImageNet weights, "
            "got 'imagenet'; set model.weights=none."
        )
    if packaged := packaged_weights(name):
        return packaged_to_timm(name, read_weights(packaged)), f"the installed package's {packaged.name}"
    path = fetch_pretrained(name)
    published = read_weights(path)
    try:
        state = adapt_pretrained(name, published, image_size=image_size)
    except (AssertionError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise _misfit(name, f"'{path}'", " ".join(str(error).split())[:200]) from error
    return state, f"'{path}'"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file without executing code.

    Args:
        path: A file with one of ``SUFFIXES``: safetensors, or what ``torch.save`` wrote of tensors.

    Returns:
        Tensors by name, on the CPU.

    Raises:
        CheckpointError: If the file is missing, of another kind, damaged, or holds pickled objects.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise CheckpointError(
            f"model.weights: imagenet, none or a path ending in {', '.join(SUFFIXES)} is expected, "
            f"got '{path}'; set one of them."
        )
    if not path.is_file():
        raise CheckpointError.missing_weights(path)
    content = _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_pickle(path)
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    tensors = {} if not isinstance(content, Mapping) else content
    named = {str(key): value for key, value in tensors.items() if isinstance(value, Tensor)}
    if not named:
        raise CheckpointError(
            f"model.weights: named tensors are expected in '{path}', "
            f"got {type(content).__name__} without any; save model.state_dict() in a file and name that."
        )
    return named


def _read_safetensors(path: Path) -> Any:
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _read_pickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's advice on old pickles; what matters is an error
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"model.weights: tensors alone are expected in '{path}', got pickled objects, which could run "
            f"code ({_blocked(error)}); save model.state_dict() as .safetensors and use that file."
        ) from error
    except Exception as error:  # torch.load raises many kinds for damaged files
        raise _damaged(path, error) from error


def _blocked(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported" in line]
    return lines[0].partition(" was not ")[0].partition(" whose ")[0] if lines else "refused by torch"


def _damaged(path: Path, error: Exception) -> CheckpointError:
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    return CheckpointError(
        f"model.weights: a complete file of weights is expected, got '{path}', which is damaged or of "
        f"another kind ({reason}); copy or download it again."
    )


def _load_matching(model: nn.Module, name: str, state: Mapping[str, Tensor], origin: str) -> LoadedWeights:
    own = model.state_dict()
    head = head_keys(model)
    # Old files lack BatchNorm's counters, which nothing needs.
    backbone_keys = [key for key in own if key not in head and not key.endswith("num_batches_tracked")]
    prefix = max(_PREFIXES, key=lambda p: sum(f"{p}{key}" in state for key in backbone_keys))
    named = {key: state[f"{prefix}{key}"] for key in own if f"{prefix}{key}" in state}
    matching = {key: value for key, value in named.items() if value.shape == own[key].shape}
    missing = [key for key in backbone_keys if key not in matching]
    share = sum(own[key].numel() for key in missing) / max(1, sum(own[key].numel() for key in backbone_keys))
    matched = f"{len(backbone_keys) - len(missing)} of {len(backbone_keys)} backbone tensors"
    if share > MOST_RANDOM:
        reason = (
            f"{matched} match, and {share:.1%} of its weights would stay random; missing or of another "
            f"shape: {', '.join(missing[:_NAMED])}" + ", …" * (len(missing) > _NAMED)
        )
        raise _misfit(name, origin, reason)
    notes = [f"{matched} from {origin}"]
    if not head <= matching.keys():
        matching = {key: value for key, value in matching.items() if key not in head}
        notes.append("the head was left out, as the file has none for these classes")
    model.load_state_dict(matching, strict=False)
    return LoadedWeights(notes=notes, random=missing, random_share=share)


def _misfit(name: str, origin: str, reason: str) -> CheckpointError:
    return CheckpointError(
        f"model.weights: weights of '{name}' are expected, got {origin} ({reason}); set the model.name that "
        "the file was made with, or model.weights=none."
    )
