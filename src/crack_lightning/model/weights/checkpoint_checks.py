"""Checks of the content of an untrusted checkpoint before a model is built from it."""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from crack_lightning.model.train_fingerprints import DIGEST_BYTES
from crack_lightning.runtime.files.untrusted_files import require_shape

if TYPE_CHECKING:
    from pathlib import Path

MAX_CLASSES, MAX_NAME = 1000, 200
_FORMER_KEYS = {"seen_tiles": "train_fingerprints", "novelty": "ood_detector"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_RANGES = {
    "image_size": (8, 4096),
    "drop_rate": (0, 0.99),
    "drop_path_rate": (0, 0.99),
    "top_k_fraction": (1e-6, 1),
    "temperature": (1e-6, 1e6),
    "threshold": (0, 2),
}
"""Smallest and largest value of each; with a threshold above 1 nothing is predicted positive."""
_RENAMED = {"strongest_cells": "top_k_fraction", "all_stages_by": "unfreeze_by"}
"""Hyper-parameters that earlier versions stored under another name."""


def with_new_names(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return stored hyper-parameters by their present names."""
    return {_RENAMED.get(name, name): value for name, value in values.items()}


def require_stored(path: Path) -> None:
    """Refuse a zip with compressed members, which could exhaust the memory; ``torch.save`` compresses none.

    Raises:
        ValueError: If a member is compressed.
    """
    with zipfile.ZipFile(path) as opened:
        if any(member.compress_type != zipfile.ZIP_STORED for member in opened.infolist()):
            raise ValueError("it is compressed, as torch.save makes none")


def require_model(loaded: object) -> dict[str, Any]:
    """Check that loaded content is a model, and that its tensors are complete.

    Args:
        loaded: What ``torch.load`` returned.

    Returns:
        Lightning's dictionary; keys of older checkpoints are renamed to the present ones.

    Raises:
        ValueError: With the value that is wrong.
    """
    if not isinstance(loaded, dict) or not {"state_dict", "hyper_parameters"} <= loaded.keys():
        raise ValueError("it holds no model of crack_lightning")
    state, values = loaded["state_dict"], loaded["hyper_parameters"]
    if not isinstance(state, Mapping) or not isinstance(values, dict):
        raise ValueError("state_dict and hyper_parameters are expected to be mappings")  # noqa: TRY004
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor) or not _is_whole(value):
            raise ValueError(f"state_dict: expected a tensor with all its values, got {str(name)[:80]!r}")
    renamed: dict[str, Any] = {_FORMER_KEYS.get(str(key), str(key)): value for key, value in loaded.items()}
    digests = renamed.get("train_fingerprints", torch.empty(0, DIGEST_BYTES, dtype=torch.uint8))
    if not (
        isinstance(digests, torch.Tensor)
        and digests.dtype == torch.uint8
        and digests.shape[1:] == (DIGEST_BYTES,)
        and _is_whole(digests)
    ):
        raise ValueError(
            f"train_fingerprints: expected uint8 (M, {DIGEST_BYTES}), got {type(digests).__name__}"
        )
    return renamed | {"hyper_parameters": with_new_names(values)}


def _is_whole(value: torch.Tensor) -> bool:
    """Return whether a tensor owns all its values; a view of one number can have any shape."""
    if value.layout is not torch.strided or value.is_quantized or value.is_meta:
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def require_values(values: dict[str, Any]) -> None:
    """Check hyper-parameters before a network is built from them.

    Args:
        values: The hyper-parameters of a classifier.

    Raises:
        ValueError: With the value that is wrong.
    """
    require_shape(values, {"name": str, "class_names": [str], "image_size": int}, name="hyper_parameters")
    names = values["class_names"]
    if not 1 <= len(names) <= MAX_CLASSES or len(set(names)) < len(names):
        raise ValueError(f"class_names: expected 1 to {MAX_CLASSES} different names, got {len(names)}")
    for text in (values["name"], *names, values.get("label", "label")):
        if not isinstance(text, str) or len(text) > MAX_NAME or not text.isprintable():
            raise ValueError(
                f"expected names of up to {MAX_NAME} printable characters, got {repr(text)[:80]}"
            )
    positive = values.get("positive_class")
    if positive is not None and positive not in names:
        raise ValueError(f"positive_class: expected one of class_names, got {repr(positive)[:80]}")
    for key, (low, high) in _RANGES.items():
        value = values.get(key, low)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"{key}: expected a number between {low} and {high}, got {repr(value)[:80]}")
    for key in ("mean", "std"):
        colours = values.get(key, [])
        if not isinstance(colours, list | tuple) or not all(map(_is_finite, colours)):
            raise ValueError(f"{key}: expected finite numbers, got {repr(colours)[:80]}")


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
