"""A trained model at work: ``predict`` and ``load``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

import crack_lightning
from crack_lightning.cli.main import main
from crack_lightning.inference.image_files import find_images
from crack_lightning.model.weights.checkpoints import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    Captured = pytest.CaptureFixture[str]
    ReadRows = Callable[[Path], list[dict[str, str]]]


def test_predicting_names_what_cannot_be_read_and_goes_on(
    run: Path, tmp_path: Path, outputs: Path, rows: ReadRows
) -> None:
    folder = tmp_path / "site (1) = Öl #2"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b's.jpg"):
        Image.fromarray(rng.integers(0, 255, (70, 90, 3), dtype=np.uint8)).save(folder / name)
    (folder / "c.jpg").write_bytes(b"<html>")
    best = run / "checkpoints" / "best.ckpt"
    arguments = [
        str(best),
        str(folder),
        "annotate=true",
        "explain=true",
        f"outputs={outputs}",
        "progress=false",
    ]
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
    explained = sorted((made / "explained").iterdir())
    assert [path.name for path in explained] == ["a.png.explained.jpg", "b's.jpg.explained.jpg"]
    for path in (pictures[0], explained[0]):
        with Image.open(path) as picture:
            assert picture.width >= 90
            assert picture.height > 70
    assert "stride 8" in (made / "run.log").read_text(encoding="utf-8")


def test_pictures_of_something_else_are_marked_and_get_no_answer_when_asked(
    run: Path, tmp_path: Path, root_of: Callable[[Path], Path], rows: ReadRows, capsys: Captured
) -> None:
    said = {row["path"]: row for row in rows(run / "predictions.csv")}
    kept = [path for path, row in said.items() if row["is_ood"] == "no"]
    odd = tmp_path / "screen.png"
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[::2] = (255, 0, 255)
    Image.fromarray(pixels).save(odd)
    best, root = run / "checkpoints" / "best.ckpt", root_of(run)
    asked = [str(best), str(odd), *(str(root / path) for path in kept), "abstain=true", "annotate=true"]
    assert main(["predict", *asked, f"outputs={tmp_path / 'made'}", "progress=false"]) == 0
    [made] = (tmp_path / "made").glob("*/*_predict")
    first, *others = rows(made / "predictions.csv")
    assert (first["is_ood"], first["predicted"], first["problem"]) == ("yes", "", "")
    assert float(first["ood_score"]) > 1
    for row, path in zip(others, kept, strict=True):
        assert (row["is_ood"], row["predicted"]) == ("no", said[path]["predicted"])
        assert float(row["ood_score"]) == pytest.approx(float(said[path]["ood_score"]), abs=1e-3)
    assert "1 out-of-distribution" in capsys.readouterr().out
    answers = crack_lightning.load(best).predict([odd])
    assert answers.is_ood.tolist() == [True]
    assert answers.labels[0] in answers.class_names


def test_a_checkpoint_without_an_ood_detector_cannot_abstain(
    run: Path, tmp_path: Path, capsys: Captured
) -> None:
    older = read_checkpoint(run / "checkpoints" / "best.ckpt")
    del older["ood_detector"]
    torch.save(older, tmp_path / "older.ckpt")
    (tmp_path / "photo.jpg").touch()
    assert main(["predict", str(tmp_path / "older.ckpt"), str(tmp_path), "abstain=true"]) == 2
    assert f"abstain: expected a checkpoint with an out-of-distribution detector, and '{tmp_path}" in (
        capsys.readouterr().err
    )
    picture = np.zeros((9, 9, 3), np.uint8)
    assert np.isnan(crack_lightning.load(tmp_path / "older.ckpt").predict([picture]).ood_score).all()


NEEDS_OPENVINO = pytest.mark.skipif(
    find_spec("openvino") is None, reason="OpenVINO, of the extra fast, is not installed"
)


@pytest.mark.parametrize("engine", ["eager", pytest.param("openvino", marks=NEEDS_OPENVINO)])
def test_every_engine_gives_the_answers_of_the_test(
    engine: str, run: Path, outputs: Path, root_of: Callable[[Path], Path], rows: ReadRows
) -> None:
    said = {row["path"]: row for row in rows(run / "predictions.csv")}
    best, before = run / "checkpoints" / "best.ckpt", set(outputs.glob("*/*_predict*"))
    files = [str(root_of(run) / path) for path in said]
    assert (
        main(["predict", str(best), *files, f"engine={engine}", f"outputs={outputs}", "progress=false"]) == 0
    )
    [folder] = set(outputs.glob("*/*_predict*")) - before
    again = [float(row["probability_crack"]) for row in rows(folder / "predictions.csv")]
    assert again == pytest.approx([float(row["probability_crack"]) for row in said.values()], abs=1e-4)
    scores = [float(row["ood_score"]) for row in rows(folder / "predictions.csv")]
    assert scores == pytest.approx([float(row["ood_score"]) for row in said.values()], abs=1e-3)
    assert (
        f"engine: {'OpenVINO' if engine == 'openvino' else 'eager PyTorch'}"
        in (folder / "run.log").read_text()
    )


def test_predict_names_a_source_that_is_not_there(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", f"checkpoint={run / 'checkpoints' / 'best.ckpt'}", "source=nowhere/*.jpg"]) == 2
    assert "source: no such file, folder or pattern: 'nowhere/*.jpg'" in capsys.readouterr().err


def test_load_gives_labels_and_probabilities(
    run: Path, root_of: Callable[[Path], Path], rows: ReadRows
) -> None:
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
    assert model.predict(str(root / first["path"])).labels == answers.labels[:1]


def test_brackets_of_a_folder_that_exists_are_no_pattern(tmp_path: Path) -> None:
    home = tmp_path / "site [1]"
    for name in ("a.jpg", "below/b.jpg", "c.png"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    assert find_images([str(home / "*.jpg")])[0] == [home / "a.jpg"]
    assert find_images([str(home / "**" / "*.jpg")])[0] == [home / "a.jpg", home / "below" / "b.jpg"]
    assert find_images([str(tmp_path / "s*" / "[a-c].*")])[0] == [home / "a.jpg", home / "c.png"]
