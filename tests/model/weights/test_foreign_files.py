"""Files of other programs that are given as a checkpoint are told by what they hold, not by their names."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from crack_lightning.model.weights.checkpoints import load_classifier, load_trained, save_model
from crack_lightning.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crack_lightning.model.classifier import CrackClassifier

WEIGHTS = {"fc.weight": torch.zeros(2, 2), "fc.bias": torch.zeros(2)}
SAVED: dict[str, Any] = {
    "holds bare weights, without classes or input size; model.weights=<file>": WEIGHTS,
    "is of another Lightning project, as its settings have no classes": {
        "state_dict": WEIGHTS,
        "hyper_parameters": {"lr": 1, "name": "resnet"},
        "pytorch-lightning_version": "2.0",
    },
    "is of another Lightning project": {"state_dict": WEIGHTS, "pytorch-lightning_version": "2.0"},
    "holds bare weights": {"model": WEIGHTS, "optimizer": {}, "epoch": 3},
    "holds more than weights and plain values, which could run code": {"model": torch.nn.Linear(1, 1)},
    "holds no model of crack_lightning": {"epoch": 3},
}


def write(path: Path, kind: str) -> None:
    """Write a file of another program."""
    match kind:
        case "is an HDF5 file":
            path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
        case "is a model of Keras":
            write_archive(path, ["metadata.json", "config.json", "model.weights.h5"])
        case "is a TorchScript program":
            write_archive(path, ["m/constants.pkl", "m/data.pkl", "m/code/__torch__.py"])
        case "is an archive, but no checkpoint":
            write_archive(path, ["a.txt"])
        case "is a safetensors file, which holds bare weights":
            save_file(WEIGHTS, path)
        case "is a bare pickle":
            torch.save(WEIGHTS, path, _use_new_zipfile_serialization=False)
        case "is a picture":
            Image.new("RGB", (8, 8)).save(path, format="JPEG")
        case "is empty":
            path.touch()
        case "is a network of another format":
            path.write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(32))
        case _:
            path.write_bytes(b"some text, and no network at all")


def write_archive(path: Path, names: list[str]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x")


KINDS = [
    "is an HDF5 file",
    "is a model of Keras",
    "is a TorchScript program",
    "is an archive, but no checkpoint",
    "is a safetensors file, which holds bare weights",
    "is a bare pickle",
    "is a picture",
    "is empty",
    "is a network of another format",
    "is damaged or is no checkpoint",
]


@pytest.mark.parametrize("load", [load_trained, load_classifier])
@pytest.mark.parametrize("told", [*KINDS, *SAVED])
def test_a_file_of_another_program_is_said_to_be_one(
    told: str, load: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "best.ckpt"
    if told in SAVED:
        torch.save(SAVED[told], path)
    else:
        write(path, told)
    with pytest.raises(CheckpointError) as error:
        load(path)
    assert str(error.value).startswith(f"checkpoint: '{path}' {told}")
    assert "ive a run's " in str(error.value)


@pytest.mark.parametrize("name", ["best.pt", "BEST.CKPT", "model.pth", "no_suffix", "site=1.ckpt"])
def test_a_checkpoint_is_one_whatever_its_name(
    name: str, tmp_path: Path, build_classifier: Callable[..., CrackClassifier]
) -> None:
    save_model(build_classifier(), tmp_path / "best.ckpt")
    path = (tmp_path / "best.ckpt").rename(tmp_path / name)
    assert load_trained(path).hparams["class_names"] == ["intact", "crack"]
