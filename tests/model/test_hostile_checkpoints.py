"""A checkpoint of a stranger is a model, or one sentence; it runs nothing and swells to nothing."""

from __future__ import annotations

import random
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import torch

from crack_lightning.model.ood.detector import OODDetector
from crack_lightning.model.ood.image_statistics import NUM_STATISTICS
from crack_lightning.model.weights.checkpoints import (
    load_classifier,
    load_trained,
    read_checkpoint,
    save_model,
)
from crack_lightning.runtime.errors import CheckpointError, CrackLightningError
from crack_lightning.training.checkpoints import AtomicCheckpointIO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crack_lightning.model.classifier import CrackClassifier


@pytest.fixture
def best(tmp_path: Path, build_classifier: Callable[..., CrackClassifier]) -> Path:
    path = tmp_path / "run" / "checkpoints" / "best.ckpt"
    save_model(build_classifier(), path)
    return path


def changed(path: Path, *place: str, value: Any) -> Path:
    checkpoint = torch.load(path, weights_only=True)
    node = checkpoint
    for name in place[:-1]:
        node = node[name]
    node[place[-1]] = value
    torch.save(checkpoint, path)
    return path


def detector_values(**changes: Any) -> dict[str, Any]:
    statistics = torch.rand((20, NUM_STATISTICS), generator=torch.Generator().manual_seed(0))
    return OODDetector.from_training(statistics).values() | {"scales": [1.0]} | changes


VIEW = torch.zeros(1).expand(10**9)
WILD = {
    "a name of a folder": (("hyper_parameters", "name"), "local-dir:/tmp", "got 'local-dir:/tmp'"),
    "a name of a hub": (("hyper_parameters", "name"), "hf-hub:evil/net", "got 'hf-hub:evil/net'"),
    "a name that is none": (("hyper_parameters", "name"), 3, "name: expected str, got 3"),
    "a giant side": (("hyper_parameters", "image_size"), 10**9, "image_size: .* got 1000000000"),
    "a side that is none": (
        ("hyper_parameters", "image_size"),
        float("nan"),
        "expected int, got nan",
    ),
    "too many classes": (("hyper_parameters", "class_names"), [str(n) for n in range(10**5)], "got 100000"),
    "no class": (("hyper_parameters", "class_names"), [], "got 0"),
    "a class twice": (("hyper_parameters", "class_names"), ["crack", "crack"], "different names, got 2"),
    "a class of two lines": (
        ("hyper_parameters", "class_names"),
        ["a\nb", "crack"],
        "got 'a.*nb'",
    ),
    "a list in a list": (("hyper_parameters", "class_names"), ["crack", ["a"]], "expected str"),
    "another positive class": (("hyper_parameters", "positive_class"), "rust", "got 'rust'"),
    "no temperature": (("hyper_parameters", "temperature"), 0.0, r"temperature: .* got 0\.0"),
    "a text for a threshold": (("hyper_parameters", "threshold"), "0.5", "threshold: .* got '0.5'"),
    "a mean that is none": (("hyper_parameters", "mean"), [0.5, float("inf"), 0.5], "mean: expected finite"),
    "no values": (("hyper_parameters",), [], "expected to be mappings"),
    "no weights": (("state_dict",), [torch.zeros(3)], "expected to be mappings"),
    "a weight of one number": (("state_dict", "backbone.classifier.weight"), VIEW, "a tensor with all its"),
    "a weight that is none": (
        ("state_dict", "backbone.classifier.weight"),
        "w",
        "a tensor with all",
    ),
    "digests that are none": (
        ("train_fingerprints",),
        [1, 2],
        "train_fingerprints: expected uint8 .* got list",
    ),
    "digests of floats": (("train_fingerprints",), torch.zeros(2, 16), "train_fingerprints: expected uint8"),
    "digests in a row": (
        ("train_fingerprints",),
        torch.zeros(32, dtype=torch.uint8),
        "train_fingerprints: expected uint8",
    ),
    "endless digests": (
        ("train_fingerprints",),
        torch.zeros(16, dtype=torch.uint8).expand(10**9, 16),
        "train_fingerprints: expected uint8",
    ),
    "a number as OOD detector": (("ood_detector",), 3, "no model of this version"),
    "an OOD detector without tensors": (("ood_detector",), {"mean": 3}, "no model of this version"),
    "an OOD detector with a text for a limit": (
        ("ood_detector",),
        detector_values(limit="1"),
        r"expected 2 numbers \(scales, limit\), got \[1\.0, '1'\]",
    ),
    "an OOD detector with a scale too many": (
        ("ood_detector",),
        detector_values(scales=[1.0, 1.0]),
        r"expected 2 numbers \(scales, limit\), got \[1\.0, 1\.0, 1\.0\]",
    ),
}


@pytest.mark.parametrize(("place", "value", "said"), WILD.values(), ids=WILD)
def test_a_wild_value_is_one_sentence(place: tuple[str, ...], value: Any, said: str, best: Path) -> None:
    changed(best, *place, value=value)
    for load in (load_trained, load_classifier):
        with pytest.raises(CheckpointError, match=rf"checkpoint: '.*best\.ckpt'.*{said}"):
            load(best)


def test_a_checkpoint_without_temperature_and_threshold_has_the_defaults(best: Path) -> None:
    checkpoint = torch.load(best, weights_only=True)
    for name in ("temperature", "threshold"):
        del checkpoint["hyper_parameters"][name]
    torch.save(checkpoint, best)
    for model in (load_trained(best), load_classifier(best)):
        assert (model.hparams["temperature"], model.hparams["threshold"]) == (1.0, 0.5)


@pytest.mark.parametrize("value", [[], {}, 3, "text", None, {"state_dict": {}}, {1: torch.zeros(2)}])
def test_what_holds_no_model_is_one_sentence(value: Any, best: Path) -> None:
    torch.save(value, best)
    with pytest.raises(CheckpointError, match="holds no model of crack_lightning"):
        read_checkpoint(best)


def test_a_checkpoint_that_swells_is_refused_unread(best: Path) -> None:
    bomb = best.with_name("bomb.ckpt")
    with zipfile.ZipFile(best) as whole, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        for member in whole.infolist():
            packed.writestr(member.filename, whole.read(member) + bytes(2**20))
    with pytest.raises(CheckpointError, match=r"is compressed, as torch\.save makes none"):
        read_checkpoint(bomb)


def test_random_damage_of_bytes_and_of_values_never_ends_in_another_error(best: Path) -> None:
    chance = random.Random(20)
    whole = best.read_bytes()
    values: tuple[Any, ...] = (None, [], {}, -1, 10**30, "x" * 300, float("nan"), True, torch.zeros(2))
    assert load_trained(best) is not None
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 3, 200))):
            damaged[chance.randrange(min(len(damaged), 6000))] = chance.randrange(256)
        best.write_bytes(damaged[: chance.choice((len(damaged), chance.randrange(len(damaged))))])
        with suppress(CrackLightningError):
            load_trained(best)
    best.write_bytes(whole)
    names = [("hyper_parameters", name) for name in read_checkpoint(best)["hyper_parameters"]]
    for place in [*names, ("state_dict",), ("train_fingerprints",), ("ood_detector",), ("hyper_parameters",)]:
        for value in values:
            best.write_bytes(whole)
            with suppress(CrackLightningError):
                load_trained(changed(best, *place, value=value))


@pytest.mark.parametrize(
    "state",
    [
        {"ModelCheckpoint{}": {"last_model_path": "/home/me/thesis"}},
        {"x": {"best_k_models": {"checkpoints/../../victim": 1.0}}},
        {"x": [{"path": "s3://bucket/key"}]},
    ],
)
def test_paths_that_a_callback_would_delete_stay_within_the_run(state: dict[str, Any], best: Path) -> None:
    changed(best, "callbacks", value=state)
    with pytest.raises(CheckpointError, match=r"paths of callbacks in .* are expected within its run, got '"):
        AtomicCheckpointIO().load_checkpoint(best)


def test_states_and_paths_of_the_run_itself_are_read(best: Path) -> None:
    own = {"EarlyStopping{'monitor': 'val/loss'}": {"wait": 1}, "x": {"path": str(best), "other": "a/b.ckpt"}}
    changed(best, "callbacks", value=own)
    assert AtomicCheckpointIO().load_checkpoint(best)["callbacks"] == own
