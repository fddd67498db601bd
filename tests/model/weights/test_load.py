"""Weights in a file fill the network that they are of, and nothing in it is executed."""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from crack_lightning.model.backbones import head_keys
from crack_lightning.model.weights.load import load_weights, read_weights
from crack_lightning.runtime.errors import CheckpointError
from tests.model.networks import assert_same, build

if TYPE_CHECKING:
    from pathlib import Path


class Spy:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_none_leaves_the_network_alone() -> None:
    model = build()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert load_weights(model, name="resnet18", weights="none").notes == []
    assert_same(model, before)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".PT", ".bin"])
def test_a_file_of_weights_is_taken_whole(tmp_path: Path, suffix: str) -> None:
    source, model = build(seed=1), build(seed=2)
    path = tmp_path / f"w{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(source.state_dict(), path)
    notes = load_weights(model, name="resnet18", weights=str(path)).notes
    assert_same(model, source.state_dict())
    assert len(notes) == 1
    assert str(path) in notes[0]


@pytest.mark.parametrize("prefix", ["module.", "model.", "backbone."])
def test_a_checkpoint_of_lightning_is_unwrapped(tmp_path: Path, prefix: str) -> None:
    source, model = build(seed=1), build(seed=2)
    state = {f"{prefix}{key}": value for key, value in source.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state | {"mean": torch.zeros(3)}}, tmp_path / "w.ckpt")
    load_weights(model, name="resnet18", weights=str(tmp_path / "w.ckpt"))
    assert_same(model, source.state_dict())


def test_a_head_of_other_classes_is_left_out_and_said(tmp_path: Path) -> None:
    source, model = build(num_classes=7, seed=1), build(seed=2)
    head = {key: value.clone() for key, value in model.state_dict().items() if key in head_keys(model)}
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    notes = load_weights(model, name="resnet18", weights=str(tmp_path / "w.safetensors")).notes
    assert_same(model, source.state_dict() | head)
    assert any("head was left out" in note for note in notes)


def test_old_files_without_batchnorm_counters_are_welcome(tmp_path: Path) -> None:
    source, model = build(seed=1), build(seed=2)
    old = {k: v for k, v in source.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "w.pth")
    assert len(load_weights(model, name="resnet18", weights=str(tmp_path / "w.pth")).notes) == 1
    assert_same(model, source.state_dict())


def lacking(*names: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in build(seed=1).state_dict().items() if key not in names}


def test_the_few_weights_that_a_file_lacks_are_named_with_their_share(tmp_path: Path) -> None:
    model = build()
    torch.save(lacking("layer1.0.conv1.weight", "fc.weight", "fc.bias"), tmp_path / "w.pth")
    loaded = load_weights(model, name="resnet18", weights=str(tmp_path / "w.pth"))
    backbone = [key for key in model.state_dict() if not key.startswith("fc.") and "num_batches" not in key]
    share = 64 * 64 * 9 / sum(model.state_dict()[key].numel() for key in backbone)
    assert loaded.random == ["layer1.0.conv1.weight"]
    assert loaded.random_share == pytest.approx(share)
    assert loaded.caution is not None
    assert "0.33% of the backbone's weights" in loaded.caution
    assert "layer1.0.conv1.weight" in loaded.caution
    whole = load_weights(model, name="resnet18", weights=save(lacking("fc.weight", "fc.bias"), tmp_path))
    assert (whole.random, whole.random_share, whole.caution) == ([], 0.0, None)


@pytest.mark.parametrize("name", ["layer4.1.conv2.weight", "layer2.1.conv1.weight"])
def test_a_file_that_leaves_more_than_a_hundredth_of_a_backbone_random_is_refused(
    tmp_path: Path, name: str
) -> None:
    model = build(seed=2)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=rf"would stay random; missing .*{name}"):
        load_weights(model, name="resnet18", weights=save(lacking(name), tmp_path))
    odd = lacking() | {name: lacking()[name][:, :-1]}
    with pytest.raises(CheckpointError, match=rf"would stay random; missing .*{name}"):
        load_weights(model, name="resnet18", weights=save(odd, tmp_path))
    assert_same(model, before)


def save(state: dict[str, torch.Tensor], folder: Path) -> str:
    torch.save(state, folder / "saved.pth")
    return str(folder / "saved.pth")


def test_weights_of_another_network_are_refused_with_the_first_missing_keys(tmp_path: Path) -> None:
    torch.save(build("mobilenetv3_small_100").state_dict(), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"'resnet18' are expected.*conv1\.weight") as caught:
        load_weights(build(), name="resnet18", weights=str(tmp_path / "w.pth"))
    assert "\n" not in str(caught.value)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    torch.save({"state_dict": Spy(trace)}, tmp_path / "w.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Spy(trace)))
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    for name, said in (("w", r"posix\.mkdir|nt\.mkdir"), ("plain", "mkdir|code"), ("module", "Linear|code")):
        with pytest.raises(CheckpointError, match=f"got pickled objects.*({said})") as caught:
            read_weights(tmp_path / f"{name}.pth")
        assert "\n" not in str(caught.value)
    assert not trace.exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("content", [b"", b"hello world", b"PK\x03\x04 not a zip", b"\x80\x02 odd"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=path.name):
        read_weights(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_half_a_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(build().state_dict(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match=f"{path.name}', which is damaged"):
        read_weights(path)


def test_a_missing_file_a_foreign_kind_and_an_empty_one_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"got '.*gone\.pth', which is none"):
        read_weights(tmp_path / "gone.pth")
    with pytest.raises(CheckpointError, match=r"got '.*w\.onnx'"):
        read_weights(tmp_path / "w.onnx")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="got list without any"):
        read_weights(tmp_path / "list.pth")
