"""Engines agree, the choice is kept, and what cannot be had is refused with its reason."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from crack_lightning.model.backends import registry, select
from crack_lightning.model.backends.engines import openvino as openvino_backend
from crack_lightning.model.backends.engines.eager import eager
from crack_lightning.model.backends.registry import BACKENDS, ENGINES, backend_name, load_backend
from crack_lightning.model.backends.select import network_digest, prepare_backend
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

PX = 32


class Small(nn.Module):
    """Bytes to six numbers."""

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layers(images.float() / 255)
        return outputs


class Unfit(Small):
    """Nothing that a tracer can follow."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        outputs = super().forward(images)
        if not torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            return outputs
        raise RuntimeError("not to be traced")


@pytest.fixture
def network() -> nn.Module:
    return Small().eval()


def tiles(number: int) -> torch.Tensor:
    return torch.randint(
        256, (number, 3, PX, PX), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


def prepared(network: nn.Module, cache: Path, wanted: str = "auto") -> Any:
    return prepare_backend(network, wanted=wanted, image_size=PX, threads=2, cache=cache, key="recipe.engine")


@pytest.mark.usefixtures("openvino")
@pytest.mark.parametrize("number", [1, 8, 13, 40])
def test_openvino_agrees_with_eager_for_any_number_of_tiles(
    number: int, network: nn.Module, tmp_path: Path
) -> None:
    choice, compute = prepared(network, tmp_path, "openvino")
    assert (choice.name, choice.precision, choice.backend.title) == ("openvino", "32", "OpenVINO")
    torch.testing.assert_close(compute(tiles(number)), eager(network)(tiles(number)), atol=1e-5, rtol=1e-5)


class Cells(nn.Module):
    """Bytes to a number for every second pixel."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layers(images.float() / 255)
        return outputs


@pytest.mark.usefixtures("openvino")
def test_images_of_any_size_are_computed_one_by_one(tmp_path: Path) -> None:
    network = Cells().eval()
    options: dict[str, Any] = {"image_size": None, "threads": 2, "cache": tmp_path, "key": "engine"}
    choice, _ = prepare_backend(network, wanted="auto", **options)
    assert {"eager", "openvino"} <= choice.tiles_per_s.keys()
    assert (backend_name(choice.name) == "openvino") == (choice.backend.title == "OpenVINO")
    for wanted in ("openvino", "eager"):
        _, compute = prepare_backend(network, wanted=wanted, **options)
        for shape in ((1, 3, 32, 64), (2, 3, 48, 16), (1, 3, 32, 64)):
            images = torch.randint(256, shape, dtype=torch.uint8)
            torch.testing.assert_close(compute(images), eager(network)(images), atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("openvino")
def test_auto_tries_what_is_at_hand_once_and_takes_the_fastest(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice, _ = prepared(network, tmp_path)
    assert {"eager", "openvino"} <= choice.tiles_per_s.keys()
    assert choice.name == max(choice.tiles_per_s, key=lambda name: choice.tiles_per_s[name])
    monkeypatch.setattr(select, "_seconds", lambda *_: pytest.fail("measured again"))
    assert prepared(network, tmp_path)[0] == choice


def test_without_another_engine_nothing_is_measured(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "installed_version", lambda _: None)
    monkeypatch.setattr(select, "has_native_bf16", lambda: False)
    choice, compute = prepared(network, tmp_path)
    assert (choice.name, choice.tiles_per_s) == ("eager", {})
    assert torch.equal(compute(tiles(3)), eager(network)(tiles(3)))


@pytest.mark.usefixtures("openvino")
def test_an_engine_that_disagrees_is_not_taken(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def wrong(*_: Any, **__: Any) -> Any:
        return lambda images: torch.ones(len(images), 6)

    monkeypatch.setattr(openvino_backend, "TileCompute", wrong)
    caplog.set_level("INFO")
    assert prepared(network, tmp_path)[0].name.startswith("eager")
    assert "openvino differs from eager by" in caplog.text


@pytest.mark.usefixtures("openvino")
def test_a_network_without_finite_outputs_is_left_to_eager(tmp_path: Path) -> None:
    network = Small().eval()
    nn.init.constant_(next(network.parameters()), torch.nan)
    choice, compute = prepared(network, tmp_path)
    assert (choice.name, choice.tiles_per_s) == ("eager", {})
    assert compute(tiles(2)).isnan().all()


@pytest.mark.usefixtures("openvino")
def test_a_network_that_openvino_cannot_take_is_left_to_eager_or_refused(tmp_path: Path) -> None:
    network = Unfit().eval()
    assert prepared(network, tmp_path)[0].name.startswith("eager")
    with pytest.raises(ConfigError, match=r"recipe\.engine: 'openvino' cannot run this network \(not to be"):
        prepared(network, tmp_path, "openvino")


def test_what_this_machine_lacks_is_refused(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "installed_version", lambda _: None)
    monkeypatch.setattr(select, "has_native_bf16", lambda: False)
    with pytest.raises(ConfigError, match=r"'openvino' needs OpenVINO.*crack-lightning\[fast\]"):
        prepared(network, tmp_path, "openvino")
    with pytest.raises(ConfigError, match=r"'eager_bf16' needs a processor .*use recipe\.engine=eager\."):
        prepared(network, tmp_path, "eager_bf16")


def test_the_choice_is_of_the_weights(network: nn.Module, tmp_path: Path) -> None:
    for one in (network, Small(seed=1).eval()):
        _, compute = prepared(one, tmp_path, "eager")
        assert torch.equal(compute(tiles(2)), eager(one)(tiles(2)))
    entries = [json.loads(file.read_text())["made_of"] for file in tmp_path.rglob("made_of.json")]
    assert len({entry["network"] for entry in entries}) == 2
    assert network_digest(network) == network_digest(Small().eval())


def test_bf16_is_near_eager(network: nn.Module) -> None:
    exact, rough = eager(network)(tiles(5)), eager(network, dtype=torch.bfloat16)(tiles(5))
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    assert torch.linalg.norm(rough - exact) / torch.linalg.norm(exact) < select.LARGEST_DISAGREEMENT


@pytest.mark.usefixtures("openvino")
def test_nobody_is_told_that_a_network_was_converted(network: nn.Module, tmp_path: Path) -> None:
    prepared(network, tmp_path, "openvino")
    telling = importlib.import_module("openvino.tools.ovc.convert_impl").tm
    assert telling.__name__ == "openvino.tools.ovc.telemetry_stub"


@pytest.mark.parametrize("name", BACKENDS)
def test_each_backend_agrees_with_eager(name: str, network: nn.Module, tmp_path: Path) -> None:
    backend = load_backend(name)
    if not backend.is_installed:
        pytest.skip(f"{backend.title} is not installed")
    _, compute = prepared(network, tmp_path, name)
    torch.testing.assert_close(compute(tiles(13)), eager(network)(tiles(13)), atol=1e-5, rtol=1e-5)


def test_engines_are_auto_and_each_backend_in_two_precisions() -> None:
    assert {"eager", "openvino"} <= set(BACKENDS)
    assert set(ENGINES) == {"auto", *BACKENDS, *(f"{name}_bf16" for name in BACKENDS)}
