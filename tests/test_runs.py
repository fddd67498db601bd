"""``train`` from end to end, on a few drawn tiles."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import classification_report

from crack_lightning.cli.main import main
from crack_lightning.config import PredictConfig, write_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    ReadRows = Callable[[Path], list[dict[str, str]]]


def test_a_run_leaves_its_folder_in_order(run: Path) -> None:
    assert {path.name for path in run.iterdir()} - {".lock"} == {
        *("checkpoints", "config.yaml", "predictions.csv", "report", "run.log", "splits.csv", "state.json"),
        "tensorboard",
    }
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "README.md"}
    assert {path.name for path in (run / "report").iterdir()} >= {
        *(
            "report.md",
            "report.html",
            "report.json",
            "classification_report.txt",
            "confusion_matrix.png",
            "roc_curve.png",
        ),
        *("pr_curve.png", "loss_curve.png", "accuracy_curve.png", "example_tiles.png", "augmentations.png"),
    }


def test_every_test_tile_is_predicted_once_and_labels_travel_with_them(run: Path, rows: ReadRows) -> None:
    predicted = {row["path"]: row for row in rows(run / "predictions.csv")}
    tested = {row["path"]: row for row in rows(run / "splits.csv") if row["split"] == "test"}
    assert predicted.keys() == tested.keys()
    assert all(predicted[path]["label"] == tested[path]["label"] for path in tested)
    assert list(next(iter(predicted.values()))) == [
        "path",
        "group",
        "label",
        "predicted",
        "probability_crack",
        "ood_score",
        "is_ood",
    ]


def test_the_classification_report_is_that_of_the_predictions(run: Path, rows: ReadRows) -> None:
    predicted = rows(run / "predictions.csv")
    labels, calls = [row["label"] for row in predicted], [row["predicted"] for row in predicted]
    expected = classification_report(
        labels, calls, labels=["intact", "crack"], digits=4, zero_division=np.nan
    )
    text = (run / "report" / "classification_report.txt").read_text(encoding="utf-8")
    assert text == expected.replace("nan", "  -")


def test_epochs_are_counted_from_one_in_log_and_report(run: Path) -> None:
    log = (run / "run.log").read_text(encoding="utf-8")
    logged = [
        (int(number), float(loss)) for number, loss in re.findall(r"epoch (\d+) of .*val/loss ([\d.]+)", log)
    ]
    report = json.loads((run / "report" / "report.json").read_text(encoding="utf-8"))
    told = [(row["epoch"], row["val/loss"]) for row in report["history"]]
    assert [number for number, _ in logged] == [number for number, _ in told] == [1, 2]
    assert report["provenance"]["best_epoch"] == min(logged, key=lambda row: row[1])[0]
    assert f"| best epoch | {report['provenance']['best_epoch']} |" in (
        run / "report" / "report.md"
    ).read_text(encoding="utf-8")


def test_tiles_of_one_photo_share_a_split(run: Path, rows: ReadRows) -> None:
    splits: dict[str, set[str]] = {}
    for row in rows(run / "splits.csv"):
        splits.setdefault(row["group"], set()).add(row["split"])
    assert len(splits) > 3
    assert all(len(names) == 1 for names in splits.values())


def test_the_configuration_is_kept_with_its_threads(run: Path) -> None:
    text = (run / "config.yaml").read_text(encoding="utf-8")
    assert "threads: null" not in text
    assert "_target_: pytorch_lightning.loggers.TensorBoardLogger" in text


def test_a_checkpoint_holds_plain_values_and_what_prediction_needs(run: Path, rows: ReadRows) -> None:
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    plain = (str, int, float, bool, type(None), list, dict)
    assert all(isinstance(value, plain) for value in checkpoint["hyper_parameters"].values())
    assert checkpoint["hyper_parameters"]["class_names"] == ["intact", "crack"]
    assert "optimizer_states" not in checkpoint
    known = [row for row in rows(run / "splits.csv") if row["split"] != "test"]
    assert checkpoint["train_fingerprints"].shape == (len({row["sha256"] for row in known}), 16)


def test_a_finished_run_says_so_when_resumed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "predictions.csv").stat().st_mtime_ns
    assert main(["train", f"resume={run}"]) == 0
    said = capsys.readouterr().out
    assert "finished" in said
    assert said.endswith(f"\nReport: {run / 'report' / 'report.html'}\n")
    assert (run / "predictions.csv").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["seed=3"], "seed: a resumed run keeps its settings"),
        (["trainer.max_epochs=1"], "trainer.max_epochs: expected at least the run's 2, got 1"),
        (["trainer.max_epochs=9"], "is finished, and its last checkpoint is gone"),
    ],
)
def test_a_resumed_run_keeps_its_settings(
    overrides: list[str], sentence: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", f"resume={run}", *overrides]) == 2
    assert sentence in capsys.readouterr().err


def test_a_run_older_than_a_key_goes_on_with_its_default(run: Path, tmp_path: Path) -> None:
    older = tmp_path / "older"
    shutil.copytree(run, older)
    lines = (run / "config.yaml").read_text(encoding="utf-8").splitlines()
    assert "  head: local" in lines
    lines.remove("  top_k_fraction: 0.03")
    (older / "config.yaml").write_text("\n".join(lines), encoding="utf-8")
    best = older / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(best, weights_only=True)
    del checkpoint["hyper_parameters"]["top_k_fraction"]
    torch.save(checkpoint, best)
    state = json.loads((run / "state.json").read_text(encoding="utf-8"))
    (older / "state.json").write_text(json.dumps(state | {"phase": "test"}), encoding="utf-8")
    (older / "predictions.csv").unlink()
    assert main(["train", f"resume={older}"]) == 0
    assert (older / "predictions.csv").read_bytes() == (run / "predictions.csv").read_bytes()
    assert "  top_k_fraction: 0.03" in (older / "config.yaml").read_text(encoding="utf-8").splitlines()


def test_resume_needs_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", f"resume={tmp_path}"]) == 2
    assert f"resume: there is no run in '{tmp_path}'" in capsys.readouterr().err
    assert main(["train", "resume="]) == 2
    assert "resume: a text is expected, got none; give resume=…" in capsys.readouterr().err


def test_what_another_command_left_is_no_run_to_resume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(PredictConfig(checkpoint="best.ckpt", source=["photo.jpg"]), tmp_path / "config.yaml")
    assert main(["train", f"resume={tmp_path}"]) == 2
    assert f"resume: '{tmp_path / 'config.yaml'}' is no configuration of train (" in capsys.readouterr().err


@pytest.fixture
def long_run(tmp_path: Path, tiny: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "crack_lightning.train", *tiny, "trainer=auto", "trainer.max_epochs=500"]
    command += ["callbacks=none", f"outputs={tmp_path}"]
    process = subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    yield process
    process.kill()
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_run_saves_its_last_step(
    number: int, code: int, long_run: subprocess.Popen[str], tmp_path: Path
) -> None:
    while not list(tmp_path.glob("*/*/checkpoints/last.ckpt")):
        assert long_run.poll() is None
        time.sleep(0.2)
    [last] = tmp_path.glob("*/*/checkpoints/last.ckpt")
    before = torch.load(last, weights_only=True)["global_step"]
    time.sleep(1)
    long_run.send_signal(number)
    said, errors = long_run.communicate()
    assert long_run.returncode == code
    assert "interrupted by signal" in errors
    assert f"stopped: python -m crack_lightning.train resume={last.parents[1]} callbacks=none goes on" in said
    assert torch.load(last, weights_only=True)["global_step"] > before


def test_three_classes_run_from_end_to_end_without_a_threshold(
    tmp_path: Path, tiny: list[str], rows: ReadRows, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for kind, shade in (("crack", 40), ("intact", 200), ("spalling", 120)):
        (tmp_path / "tiles" / kind).mkdir(parents=True)
        for number in range(12):
            pixels = np.clip(rng.normal(shade, 20, (40, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "tiles" / kind / f"{number}.png")
    others = [argument for argument in tiny if not argument.startswith("data.synthetic")]
    arguments = [
        "data=image_folder",
        f"data.root={tmp_path / 'tiles'}",
        "data.split.fractions=[0.5,0.25,0.25]",
    ]
    refused = ["evaluation.threshold=f1", f"outputs={tmp_path / 'refused'}"]
    assert main(["train", *others, *arguments, *refused]) == 2
    assert "evaluation.threshold: a threshold needs two classes" in capsys.readouterr().err
    assert not list((tmp_path / "refused").rglob("*.ckpt"))
    assert main(["train", *others, *arguments, f"outputs={tmp_path / 'out'}"]) == 0
    [folder] = (tmp_path / "out").glob("*/*_image_folder")
    columns = list(rows(folder / "predictions.csv")[0])
    assert set(columns[4:7]) == {"probability_intact", "probability_spalling", "probability_crack"}
    report = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["positive_class"] == "crack"


def test_unreadable_files_end_a_run_or_are_counted(
    tmp_path: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for kind in ("Positive", "Negative"):
        (tmp_path / "tiles" / kind).mkdir(parents=True)
        for number in range(16):
            pixels = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "tiles" / kind / f"{number:05}.jpg")
    (tmp_path / "tiles" / "Positive" / "00003.jpg").write_bytes(b"\xff\xd8\xff")
    others = [argument for argument in tiny if not argument.startswith("data.synthetic")]
    arguments = [*others, "data=metu", f"data.root={tmp_path / 'tiles'}", f"outputs={tmp_path / 'out'}"]
    assert main(["train", *arguments]) == 2
    written = capsys.readouterr().err
    assert "1 of 32 files" in written
    assert "Positive/00003.jpg" in written
    [log] = (tmp_path / "out").glob("*/*/run.log")
    last = log.read_text(encoding="utf-8").splitlines()[-1]
    assert last.endswith(f": {written.removeprefix('error: ').strip()}")
    assert main(["train", *arguments, "data.on_unreadable=skip"]) == 0
    [report] = (tmp_path / "out").glob("*/*/report/report.json")
    skipped = json.loads(report.read_text(encoding="utf-8"))["provenance"]["excluded_files"]
    assert [item["path"] for item in skipped] == ["Positive/00003.jpg"]
