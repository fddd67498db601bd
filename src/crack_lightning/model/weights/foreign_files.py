"""Descriptions of files of other programs that are given as a checkpoint."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MAGIC = {
    b"\x89HDF\r\n\x1a\n": "is an HDF5 file, as Keras writes them",
    b"\x1f\x8b": "is a compressed archive; unpack it, and give the checkpoint in it",
    b"\xff\xd8\xff": "is a picture",
    b"\x89PNG": "is a picture",
    b"\x80": "is a bare pickle, as PyTorch before 1.6 wrote them, which could run code",
}
_BARE = "holds bare weights, without classes or input size; model.weights=<file> starts a training from them"


def describe_file(path: Path) -> str | None:
    """Describe a file of another kind by its first bytes or members; ``None`` if it may be a checkpoint.

    Args:
        path: An existing file.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not head:
        return "is empty"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return f"is a safetensors file, which {_BARE}"
    if kind := next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None):
        return kind
    if head[4:8] == b"TFL3" or path.suffix.lower() == ".onnx":
        return "is a network of another format"
    return _describe_archive(path) if zipfile.is_zipfile(path) else "is damaged or is no checkpoint"


def _describe_archive(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # noqa: BLE001  # zipfile raises many kinds for damaged files
        return "is damaged"
    if "metadata.json" in names:
        return "is a model of Keras"
    if any(name.endswith("/constants.pkl") for name in names):
        return "is a TorchScript program, which could run code"
    return None if any(name.endswith("data.pkl") for name in names) else "is an archive, but no checkpoint"


def describe_values(loaded: Any) -> str | None:
    """Describe a checkpoint of another program by its values; ``None`` if it may be one of a run.

    Args:
        loaded: What the file holds, plain values and tensors.
    """
    if not isinstance(loaded, dict):
        return None
    settings = loaded.get("hyper_parameters", {})
    lightning = "pytorch-lightning_version" in loaded or ("state_dict" in loaded and settings)
    if lightning and isinstance(settings, dict) and not {"class_names", "image_size"} & settings.keys():
        return "is of another Lightning project, as its settings have no classes and no input size"
    weights = (loaded, *(loaded.get(name) for name in ("state_dict", "model", "model_state_dict")))
    return _BARE if "hyper_parameters" not in loaded and any(map(_holds_tensors, weights)) else None


def _holds_tensors(values: Any) -> bool:
    mapping: Mapping[Any, Any] = values if isinstance(values, dict) else {}
    return bool(mapping) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in mapping.items()
    )
