"""A checkpoint tested on another set, and checkpoints that are refused."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch

from crack_lightning.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    ReadRows = Callable[[Path], list[dict[str, str]]]


def test_evaluating_the_training_source_uses_its_test_split(
    run: Path, outputs: Path, tiny: list[str], rows: ReadRows, capsys: pytest.CaptureFixture[str]
) -> None:
    best = run / "checkpoints" / "best.ckpt"
    same = [setting for setting in tiny if setting.startswith(("data.", "trainer.threads="))]
    arguments = [f"checkpoint={best}", "data=synthetic", *same, f"outputs={outputs}", "progress=false"]
    assert main(["evaluate", *arguments]) == 0
    [folder] = outputs.glob("*/*_evaluate_synthetic")
    assert capsys.readouterr().out.endswith(f"\nReport: {folder / 'report' / 'report.html'}\n")
    again = {row["path"]: row["probability_crack"] for row in rows(folder / "predictions.csv")}
    first = {row["path"]: row["probability_crack"] for row in rows(run / "predictions.csv")}
    assert again == first
    report = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["provenance"]["excluded_training_tiles"] == 120 - len(first)
    looked = report["localisation"]
    assert looked["tiles"] == sum(row["label"] == "crack" for row in rows(folder / "predictions.csv"))
    assert sum(row["tiles"] for row in looked["by_lines"]) == looked["tiles"]
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    shown = sum(len(tiles) for tiles in report["explanation"]["examples"].values())
    assert page.count('alt="evidence of the model in ') == shown > 0


@pytest.mark.parametrize(("folder", "label"), [("Cracked", "crack"), ("no_crack", "intact")])
def test_a_set_of_one_class_gives_its_recall_and_dashes(
    folder: str,
    label: str,
    *,
    run: Path,
    root_of: Callable[[Path], Path],
    tmp_path: Path,
    rows: ReadRows,
) -> None:
    tested = [row for row in rows(run / "predictions.csv") if row["label"] == label]
    (tmp_path / "set" / folder).mkdir(parents=True)
    for row in tested:
        shutil.copy(root_of(run) / row["path"], tmp_path / "set" / folder)
    best, out = run / "checkpoints" / "best.ckpt", tmp_path / "out"
    arguments = [f"checkpoint={best}", "data=image_folder", f"data.root={tmp_path / 'set'}", f"outputs={out}"]
    assert main(["evaluate", *arguments, "progress=false", "trainer.threads=1"]) == 0
    [made] = out.glob("*/*_evaluate_image_folder")
    report = json.loads((made / "report" / "report.json").read_text(encoding="utf-8"))
    own, other = ("recall_crack", "specificity") if label == "crack" else ("specificity", "recall_crack")
    assert report["metrics"][own] == sum(row["predicted"] == label for row in tested) / len(tested)
    assert report["metrics"][other] is report["metrics"]["auroc_crack"] is report["metrics"]["mcc"] is None
    assert report["class_names"] == ["intact", "crack"]
    text = (made / "report" / "report.md").read_text(encoding="utf-8")
    assert "| - | - |" in text
    assert "nan" not in text.replace("Provenance", "")


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"", "is empty"), (b"not a checkpoint", "is damaged"), (b"PK\x03\x04broken", "is damaged")],
)
def test_a_damaged_checkpoint_is_refused(
    content: bytes, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.ckpt"
    path.write_bytes(content)
    assert main(["evaluate", f"checkpoint={path}"]) == 2
    assert f"checkpoint: '{path}' {fault}" in capsys.readouterr().err


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
    (tmp_path / "photo.jpg").touch()
    assert main(["predict", str(path), str(tmp_path)]) == 2
    assert f"checkpoint: '{path}' holds no model of crack_lightning" in capsys.readouterr().err


@pytest.mark.usefixtures("openvino")
def test_an_evaluation_takes_the_backend_of_predict_and_gives_the_same_figures(
    run: Path, tiny: list[str], outputs: Path
) -> None:
    best = f"checkpoint={run / 'checkpoints' / 'best.ckpt'}"
    given = [
        best,
        *(item for item in tiny if item.startswith("data.")),
        "trainer.threads=1",
        "progress=false",
    ]
    contents = {}
    for engine in ("auto", "openvino"):
        base = outputs / f"by_{engine}"
        assert main(["evaluate", *given, f"engine={engine}", f"outputs={base}"]) == 0
        [folder] = base.glob("*/*_evaluate_synthetic")
        contents[engine] = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    assert contents["openvino"]["provenance"]["backend"] == "OpenVINO on cpu"
    metrics = [contents[engine]["metrics"] for engine in ("auto", "openvino")]
    assert metrics[0].keys() == metrics[1].keys()
    for name, value in metrics[0].items():
        assert metrics[1][name] == pytest.approx(value, abs=1e-4, nan_ok=True)
