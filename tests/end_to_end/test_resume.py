"""A run that is killed and resumed is the unbroken run, to the bit."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from crack_lightning.config import TrainConfig, compose_config, parse
from crack_lightning.sweep.jobs.worker import job_context

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = [
    "data.synthetic.num_tiles=160",
    "data.synthetic.tile_px=64",
    "data.batch_size=8",
    "model=timm",
    "model.name=test_efficientnet",
    "model.image_size=48",
    "model.drop_rate=0.2",
    "augmentation=standard",
    "augmentation.mixup_alpha=0.2",
    "trainer.max_epochs=3",
    "trainer.checkpoint_every=0",
    "trainer.threads=1",
    "progress=false",
]


def settings(*overrides: str) -> TrainConfig:
    return parse(compose_config("train", [*SETTINGS, *overrides]), TrainConfig)


def _kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_on_call(owner: Any, name: str, number: int) -> None:
    """Let the process die at the given call of a function."""
    original = getattr(owner, name)
    calls = iter(range(1, 10**6))

    def counted(*arguments: Any, **keywords: Any) -> Any:
        if next(calls) == number:
            _kill_self()
        return original(*arguments, **keywords)

    setattr(owner, name, counted)


def _kill_within_save(number: int) -> None:
    """Let the process die when half of a checkpoint is on the disk."""
    original = torch.save
    calls = iter(range(1, 10**6))

    def half(checkpoint: Any, path: Path) -> None:
        original(checkpoint, path)
        if next(calls) == number:
            whole = Path(path).read_bytes()
            Path(path).write_bytes(whole[: len(whole) // 2])
            _kill_self()

    torch.save = half  # type: ignore[assignment]


def _train(config: TrainConfig, folder: Path, kill: str) -> None:
    from crack_lightning.experiment import factory, training_run
    from crack_lightning.model.classifier import CrackClassifier
    from crack_lightning.report import write

    place, _, number = kill.partition(":")
    if place == "data":
        _kill_on_call(factory, "build_classifier", 1)
    elif place == "step":
        _kill_on_call(CrackClassifier, "training_step", int(number))
    elif place == "validation":
        _kill_on_call(CrackClassifier, "validation_step", int(number))
    elif place == "save":
        _kill_within_save(int(number))
    elif place == "test":
        _kill_on_call(CrackClassifier, "test_step", 2)
    elif place == "report":
        _kill_on_call(write, "save_figure", 3)
    training_run.run_training(config, folder=folder)


def run(folder: Path, *overrides: str, kill: str = "") -> int | None:
    """Run, or go on with a run, in a process of its own; return its exit code."""
    folder.mkdir(exist_ok=True)
    process = job_context().Process(target=_train, args=(settings(*overrides), folder, kill))  # type: ignore[attr-defined]
    process.start()
    process.join()
    code: int | None = process.exitcode
    return code


def result(folder: Path) -> tuple[str, dict[str, Any], dict[str, torch.Tensor]]:
    report = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    for key in ("timing", "created"):
        del report[key]
    best = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    return (folder / "predictions.csv").read_text(encoding="utf-8"), report, best["state_dict"]


def assert_same(left: Path, right: Path, but: Callable[[dict[str, Any]], Any] = lambda report: None) -> None:
    (predictions, report, weights), (other_predictions, other_report, other_weights) = (
        result(left),
        result(right),
    )
    assert weights.keys() == other_weights.keys()
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)
    assert predictions == other_predictions
    but(report)
    but(other_report)
    assert report == other_report


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    assert run(folder) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(workers: int, unbroken: Path, tmp_path: Path) -> None:
    assert run(tmp_path / "run", f"data.num_workers={workers}") == 0

    def forget_workers(report: dict[str, Any]) -> None:
        report["provenance"]["settings"]["data"].pop("num_workers")

    assert_same(unbroken, tmp_path / "run", forget_workers)


@pytest.mark.slow
def test_another_seed_changes_the_weights(unbroken: Path, tmp_path: Path) -> None:
    assert run(tmp_path / "run", "seed=1") == 0
    weights, other = result(unbroken)[2], result(tmp_path / "run")[2]
    assert not all(torch.equal(weights[name], other[name]) for name in weights)


@pytest.mark.slow
def test_ten_kills_leave_the_unbroken_run(unbroken: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    kills = [
        "data",
        "step:1",
        "step:4",
        "step:7",
        "validation:2",
        "step:9",
        "save:3",
        "step:1",
        "step:6",
        "test",
        "report",
    ]
    assert [run(folder, kill=kill) for kill in kills] == [-signal.SIGKILL] * len(kills)
    assert run(folder) == 0
    assert_same(unbroken, folder)
    assert not (folder / "checkpoints" / "last.ckpt").exists()
    assert not list((folder / "checkpoints").glob(".*"))


@pytest.mark.slow
def test_stages_and_the_moving_average_resume_too(tmp_path: Path) -> None:
    average = ["recipe=probe_then_finetune", "recipe.ema_decay=0.9", "trainer.max_epochs=2"]
    assert run(tmp_path / "whole", *average) == 0
    assert run(tmp_path / "broken", *average, kill="step:5") == -signal.SIGKILL
    assert run(tmp_path / "broken", *average, kill="step:12") == -signal.SIGKILL
    assert run(tmp_path / "broken", *average) == 0
    assert_same(tmp_path / "whole", tmp_path / "broken")
