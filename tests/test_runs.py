"""The commands from end to end, on a few drawn tiles."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import classification_report

from crack_lightning.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_its_folder_in_order(run: Path) -> None:
    assert {path.name for path in run.iterdir()} - {".lock"} == {
        *("checkpoints", "config.yaml", "predictions.csv", "report", "run.log", "splits.csv", "state.json"),
        "tensorboard",
    }
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["best.ckpt"]
    assert {path.name for path in (run / "report").iterdir()} >= {
        *("report.md", "report.json", "classification_report.txt", "confusion_matrix.png", "roc_curve.png"),
        *("pr_curve.png", "loss_curve.png", "accuracy_curve.png", "example_tiles.png", "augmentations.png"),
    }


def test_every_test_tile_is_predicted_once_and_labels_travel_with_them(run: Path) -> None:
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
    ]


def test_the_classification_report_is_that_of_the_predictions(run: Path) -> None:
    predicted = rows(run / "predictions.csv")
    labels, calls = [row["label"] for row in predicted], [row["predicted"] for row in predicted]
    expected = classification_report(labels, calls, labels=["intact", "crack"], digits=4, zero_division=0)
    assert (run / "report" / "classification_report.txt").read_text(encoding="utf-8") == expected


def test_tiles_of_one_photo_share_a_split(run: Path) -> None:
    splits: dict[str, set[str]] = {}
    for row in rows(run / "splits.csv"):
        splits.setdefault(row["group"], set()).add(row["split"])
    assert len(splits) > 3
    assert all(len(names) == 1 for names in splits.values())


def test_the_configuration_is_kept_with_its_threads(run: Path) -> None:
    text = (run / "config.yaml").read_text(encoding="utf-8")
    assert "threads: null" not in text
    assert "_target_: pytorch_lightning.loggers.TensorBoardLogger" in text


def test_a_checkpoint_holds_plain_values_and_what_prediction_needs(run: Path) -> None:
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    plain = (str, int, float, bool, type(None), list, dict)
    assert all(isinstance(value, plain) for value in checkpoint["hyper_parameters"].values())
    assert checkpoint["hyper_parameters"]["class_names"] == ["intact", "crack"]
    assert "optimizer_states" not in checkpoint
    known = [row for row in rows(run / "splits.csv") if row["split"] != "test"]
    assert checkpoint["seen_tiles"].shape == (len({row["sha256"] for row in known}), 16)


def test_a_finished_run_says_so_when_resumed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "predictions.csv").stat().st_mtime_ns
    assert main(["train", f"resume={run}"]) == 0
    assert "finished" in capsys.readouterr().out
    assert (run / "predictions.csv").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["seed=3"], "seed: a resumed run keeps its settings"),
        (["trainer.max_epochs=1"], "trainer.max_epochs: expected at least the run's 2, got 1"),
        (["trainer.max_epochs=9"], "is finished, and what it could go on from is gone"),
    ],
)
def test_a_resumed_run_keeps_its_settings(
    overrides: list[str], sentence: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", f"resume={run}", *overrides]) == 2
    assert sentence in capsys.readouterr().err


def test_resume_needs_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", f"resume={tmp_path}"]) == 2
    assert f"resume: there is no run in '{tmp_path}'" in capsys.readouterr().err


def test_evaluating_the_training_source_uses_its_test_split(
    run: Path, outputs: Path, tiny: list[str]
) -> None:
    best = run / "checkpoints" / "best.ckpt"
    tiles = [setting for setting in tiny if setting.startswith("data.")]
    arguments = [f"checkpoint={best}", "data=synthetic", *tiles, f"outputs={outputs}", "progress=false"]
    assert main(["evaluate", *arguments]) == 0
    [folder] = outputs.glob("*/*_evaluate_synthetic")
    again = {row["path"]: row["probability_crack"] for row in rows(folder / "predictions.csv")}
    first = {row["path"]: row["probability_crack"] for row in rows(run / "predictions.csv")}
    assert again == first
    report = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["provenance"]["known_tiles_left_out"] == 120 - len(first)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_a_damaged_checkpoint_is_refused(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.ckpt"
    path.write_bytes(content)
    assert main(["evaluate", f"checkpoint={path}"]) == 2
    assert f"checkpoint: '{path}' is damaged" in capsys.readouterr().err


class Bomb:
    """Would write a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


def test_a_checkpoint_never_runs_what_it_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bomb, path = tmp_path / "exploded", tmp_path / "evil.ckpt"
    torch.save({"state_dict": {}, "hyper_parameters": Bomb(bomb)}, path)
    assert main(["evaluate", f"checkpoint={path}"]) == 2
    assert f"checkpoint: '{path}' holds more than weights" in capsys.readouterr().err
    assert not bomb.exists()


def test_a_foreign_checkpoint_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "foreign.ckpt"
    torch.save({"state_dict": {}}, path)
    assert main(["predict", str(path), str(tmp_path)]) == 2
    assert f"checkpoint: '{path}' holds no model of crack_lightning" in capsys.readouterr().err


def test_predicting_names_what_cannot_be_read_and_goes_on(run: Path, tmp_path: Path, outputs: Path) -> None:
    folder = tmp_path / "site (1) = Öl #2"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b's.jpg"):
        Image.fromarray(rng.integers(0, 255, (70, 90, 3), dtype=np.uint8)).save(folder / name)
    (folder / "c.jpg").write_bytes(b"<html>")
    best = run / "checkpoints" / "best.ckpt"
    arguments = [str(best), str(folder), "annotate=true", f"outputs={outputs}", "progress=false"]
    assert main(["predict", *arguments]) == 0
    [made] = outputs.glob("*/*_predict")
    found = {Path(row["path"]).name: row for row in rows(made / "predictions.csv")}
    assert found.keys() == {"a.png", "b's.jpg", "c.jpg"}
    assert found["a.png"]["predicted"] in ("intact", "crack")
    assert 0 <= float(found["b's.jpg"]["probability_crack"]) <= 1
    assert found["c.jpg"]["predicted"] == ""
    assert "web page" in found["c.jpg"]["problem"]
    pictures = sorted((made / "annotated").iterdir())
    assert [path.name for path in pictures] == ["a.png.annotated.jpg", "b's.jpg.annotated.jpg"]
    with Image.open(pictures[0]) as picture:
        assert picture.width >= 90
        assert picture.height > 70


@pytest.mark.parametrize("engine", ["eager", "openvino"])
def test_every_engine_gives_the_answers_of_the_test(
    engine: str, run: Path, outputs: Path, root_of: Callable[[Path], Path]
) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino", reason="OpenVINO, of the extra fast, is not installed")
    said = {row["path"]: row for row in rows(run / "predictions.csv")}
    best, before = run / "checkpoints" / "best.ckpt", set(outputs.glob("*/*_predict*"))
    files = [str(root_of(run) / path) for path in said]
    assert (
        main(["predict", str(best), *files, f"engine={engine}", f"outputs={outputs}", "progress=false"]) == 0
    )
    [folder] = set(outputs.glob("*/*_predict*")) - before
    again = [float(row["probability_crack"]) for row in rows(folder / "predictions.csv")]
    assert again == pytest.approx([float(row["probability_crack"]) for row in said.values()], abs=1e-4)
    assert (
        f"engine: {'OpenVINO' if engine == 'openvino' else 'eager PyTorch'}"
        in (folder / "run.log").read_text()
    )


def test_predict_names_a_source_that_is_not_there(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", f"checkpoint={run / 'checkpoints' / 'best.ckpt'}", "source=nowhere/*.jpg"]) == 2
    assert "source: no such file, folder or pattern: 'nowhere/*.jpg'" in capsys.readouterr().err


def test_load_gives_labels_and_probabilities(run: Path, root_of: Callable[[Path], Path]) -> None:
    import crack_lightning

    model = crack_lightning.load(run / "checkpoints" / "best.ckpt")
    first = rows(run / "predictions.csv")[0]
    root = root_of(run)
    with Image.open(root / first["path"]) as picture:
        array = np.asarray(picture)
    answers = model.predict([root / first["path"], array])
    assert answers.names == [str(root / first["path"]), "array 1"]
    assert answers.class_names == ("intact", "crack")
    assert answers.labels[0] == first["predicted"]
    np.testing.assert_allclose(answers.probabilities[:, 1], float(first["probability_crack"]), atol=1e-5)
    assert isinstance(model, crack_lightning.Predictor)
    with pytest.raises(TypeError, match=r"uint8 \(H, W, 3\) but got float64 \(3, 3\)"):
        model.predict([np.zeros((3, 3))])  # type: ignore[list-item]


def test_the_hparams_tab_has_settings_and_final_metrics(run: Path) -> None:
    groups, metrics = session_groups(run.parent)
    [group] = groups
    assert group.hparams["model.label"].string_value == "mobilenetv3_small"
    assert {"final/accuracy", "final/recall_crack", "test/accuracy", "val/loss"} <= metrics
    values = {metric.name.tag: metric.value for metric in group.metric_values}
    report = json.loads((run / "report" / "report.json").read_text(encoding="utf-8"))
    assert values["final/accuracy"] == pytest.approx(report["metrics"]["accuracy"])


def session_groups(logdir: Path) -> tuple[list[Any], set[str]]:
    """Ask TensorBoard's own backend for the HPARAMS tab."""
    from tensorboard import context
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(logdir))
    tab = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    asked = context.RequestContext()
    experiment = get_experiment.Handler(asked, tab, "", api_pb2.GetExperimentRequest()).run()
    wanted = [api_pb2.ColParams(metric=info.name) for info in experiment.metric_infos]
    wanted += [api_pb2.ColParams(hparam=info.name) for info in experiment.hparam_infos]
    request = api_pb2.ListSessionGroupsRequest(
        allowed_statuses=[api_pb2.STATUS_SUCCESS], col_params=wanted, slice_size=100
    )
    listed = list_session_groups.Handler(asked, tab, "", request).run()
    return list(listed.session_groups), {info.name.tag for info in experiment.metric_infos}


@pytest.mark.slow
def test_a_sweep_gives_each_job_its_folder_report_and_row(
    tmp_path: Path, tiny: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    others = [argument for argument in tiny if not argument.startswith("model=")]
    grid = ["model=mobilenetv3_small,plain_cnn", "plugins=[],[nosuchplugin]"]
    assert main(["train", "-m", *grid, *others, "trainer.max_epochs=1", f"outputs={tmp_path}"]) == 3
    [sweep] = tmp_path.glob("multirun/*/*")
    jobs = rows(sweep / "jobs.csv")
    assert [job["status"] == "done" for job in jobs] == [True, False, True, False]
    for job in ("0", "2"):
        assert (sweep / job / "report" / "report.md").is_file()
    sentence = "plugins: cannot import 'nosuchplugin'"
    assert sentence in (sweep / "1" / "console.log").read_text(encoding="utf-8")
    assert sentence in capfd.readouterr().out
    groups, _ = session_groups(sweep)
    assert {group.hparams["model.name"].string_value for group in groups} == {
        "mobilenetv3_small_100",
        "plain_cnn",
    }
    assert all(group.metric_values for group in groups)


def test_a_sweep_with_a_wrong_job_starts_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", "data.batch_size=8,0", f"outputs={tmp_path}"]) == 2
    assert "data.batch_size: expected a number at least 1, got 0" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


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
    deadline = time.monotonic() + 240
    while not list(tmp_path.glob("*/*/checkpoints/last.ckpt")):
        assert time.monotonic() < deadline
        assert long_run.poll() is None
        time.sleep(0.2)
    [last] = tmp_path.glob("*/*/checkpoints/last.ckpt")
    before = torch.load(last, weights_only=True)["global_step"]
    time.sleep(1)
    long_run.send_signal(number)
    _, errors = long_run.communicate(timeout=60)
    assert long_run.returncode == code
    assert "interrupted by signal" in errors
    assert torch.load(last, weights_only=True)["global_step"] > before


def test_three_classes_run_from_end_to_end(tmp_path: Path, tiny: list[str]) -> None:
    rng = np.random.default_rng(0)
    for kind, shade in (("crack", 40), ("intact", 200), ("spalling", 120)):
        (tmp_path / "tiles" / kind).mkdir(parents=True)
        for number in range(12):
            pixels = np.clip(rng.normal(shade, 20, (40, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "tiles" / kind / f"{number}.png")
    others = [argument for argument in tiny if not argument.startswith("data.drawn")]
    arguments = [
        "data=image_folder",
        f"data.root={tmp_path / 'tiles'}",
        "data.split.fractions=[0.5,0.25,0.25]",
    ]
    assert main(["train", *others, *arguments, f"outputs={tmp_path / 'out'}"]) == 0
    [folder] = (tmp_path / "out").glob("*/*_image_folder")
    columns = list(rows(folder / "predictions.csv")[0])
    assert set(columns[4:]) == {"probability_intact", "probability_spalling", "probability_crack"}
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
    others = [argument for argument in tiny if not argument.startswith("data.drawn")]
    arguments = [*others, "data=metu", f"data.root={tmp_path / 'tiles'}", f"outputs={tmp_path / 'out'}"]
    assert main(["train", *arguments]) == 2
    written = capsys.readouterr().err
    assert "1 of 32 files" in written
    assert "Positive/00003.jpg" in written
    assert main(["train", *arguments, "data.on_unreadable=skip"]) == 0
    [report] = (tmp_path / "out").glob("*/*/report/report.json")
    skipped = json.loads(report.read_text(encoding="utf-8"))["provenance"]["skipped"]
    assert [item["path"] for item in skipped] == ["Positive/00003.jpg"]


def test_the_cache_is_listed_and_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CRACK_LIGHTNING_CACHE", str(tmp_path))
    (tmp_path / "synthetic" / "abc").mkdir(parents=True)
    (tmp_path / "synthetic" / "abc" / "x").write_bytes(bytes(2**20))
    assert main(["cache"]) == 0
    assert "1.0 MiB  synthetic/abc" in capsys.readouterr().out
    assert main(["cache", "clear"]) == 0
    assert not (tmp_path / "synthetic").exists()
    assert main(["cache", "purge"]) == 2
    assert "expected list or clear, got 'purge'" in capsys.readouterr().err
