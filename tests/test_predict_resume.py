"""A prediction that is interrupted anywhere goes on to what an unbroken one writes."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.cli.main import main
from crack_lightning.inference import predictor
from crack_lightning.inference.maps import map_images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crack_lightning.model.classifier import CrackClassifier

    Build = Callable[..., CrackClassifier]
    Captured = pytest.CaptureFixture[str]
    ReadRows = Callable[[Path], list[dict[str, str]]]


@pytest.fixture
def checkpoint(build_classifier: Build, tmp_path: Path) -> Callable[..., str]:
    """A checkpoint's path; changes are the classifier's arguments."""
    from crack_lightning.model.weights.checkpoints import save_model

    def save(**changes: Any) -> str:
        path = tmp_path / "model.ckpt"
        save_model(build_classifier(temperature=1.0, threshold=0.5, **changes).eval(), path)
        return str(path)

    return save


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "north").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(6):
        shape = (70 + 8 * number, 90, 3)
        Image.fromarray(rng.integers(0, 255, shape, dtype=np.uint8)).save(folder / "north" / f"p{number}.png")
    (folder / "a, broken.jpg").write_bytes(b"<html>")
    return folder


def predicted(folder: Path, *arguments: str) -> int:
    return main(["predict", *arguments, f"outputs={folder}", "progress=false", "trainer.threads=1"])


def made(folder: Path) -> Path:
    [found] = folder.glob("*/*_predict")
    return found


def files(folder: Path) -> dict[str, bytes]:
    own = ("run.log", "config.yaml", ".lock")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in own
    }


def broken_off(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, *, after: int, how: Any) -> Any:
    """Let one call of a function of a module, after so many others, end in an exception."""
    calls, real = [], getattr(module, name)

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(name)
        if len(calls) == after + 1:  # once: a second signal could come when nobody handles it any more
            return how()
        return real(*arguments, **named)

    monkeypatch.setattr(module, name, counted)


def interrupt() -> Any:
    raise KeyboardInterrupt


def terminate() -> Any:
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("how", "code", "after"), [(interrupt, 130, 0), (interrupt, 130, 4), (terminate, 143, 1)]
)
def test_a_map_that_is_interrupted_goes_on_to_the_same_files(  # noqa: PLR0917  # fixtures
    how: Any,
    code: int,
    after: int,
    checkpoint: Callable[..., str],
    site: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    best = checkpoint(name="resnet18", head="local", image_size=64)
    given = [best, str(site), "map=true", "explain=true", "annotate=true"]
    assert predicted(tmp_path / "whole", *given) == 0
    with monkeypatch.context() as patch:
        broken_off(patch, map_images, "write_map", after=after, how=how)
        assert predicted(tmp_path / "broken", *given) == code
    folder = made(tmp_path / "broken")
    assert f"resume={folder}" in capsys.readouterr().out
    with (folder / "tiles.csv").open("a") as tiles:
        tiles.write(f"{site / 'north' / f'p{after}.png'},0,0,0.5,1\nhalf a ro")
    assert main(["predict", f"resume={folder}", "progress=false"]) == 0
    assert files(folder) == files(made(tmp_path / "whole"))
    assert main(["predict", f"resume={folder}", "progress=false"]) == 0
    assert files(folder) == files(made(tmp_path / "whole"))


def test_answers_are_written_batch_by_batch_and_go_on(
    checkpoint: Callable[..., str],
    site: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: ReadRows,
) -> None:
    given = [checkpoint(), str(site), "batch_size=2"]
    assert predicted(tmp_path / "whole", *given) == 0
    with monkeypatch.context() as patch:
        broken_off(patch, predictor.Predictor, "classify", after=2, how=interrupt)
        assert predicted(tmp_path / "broken", *given) == 130
    folder = made(tmp_path / "broken")
    assert 1 < len(rows(folder / "predictions.csv")) < 7
    assert main(["predict", f"resume={folder}", "progress=false"]) == 0
    assert files(folder) == files(made(tmp_path / "whole"))


def test_a_resumed_prediction_keeps_its_settings_and_its_own_files(
    checkpoint: Callable[..., str], site: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert predicted(tmp_path / "out", checkpoint(), str(site)) == 0
    folder = made(tmp_path / "out")
    assert main(["predict", f"resume={folder}", "threshold=0.3"]) == 2
    assert "threshold: a resumed run keeps its settings; only progress may change" in capsys.readouterr().err
    assert main(["predict", f"resume={tmp_path}"]) == 2
    assert f"resume: there is no run in '{tmp_path}'" in capsys.readouterr().err
    (tmp_path / "elsewhere").mkdir()
    (folder / "maps").symlink_to(tmp_path / "elsewhere")
    assert main(["predict", f"resume={folder}"]) == 2
    assert "maps" in capsys.readouterr().err
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_last_lines_tell_what_was_found_from_where_on_and_what_was_not_read(
    checkpoint: Callable[..., str], site: Path, tmp_path: Path, capsys: Captured, rows: ReadRows
) -> None:
    best = checkpoint(name="resnet18", head="local", image_size=64)
    assert predicted(tmp_path / "out", best, str(site), "map=true", "threshold=0.001") == 0
    folder = made(tmp_path / "out")
    *_, unread, last = capsys.readouterr().out.splitlines()
    assert "not read: 1 of 7 pictures, named with the reason in predictions.csv" in unread
    assert "a, broken.jpg (a web page" in unread
    assert last == (
        "7 pictures: 0 intact, 6 crack, 1 not read; crack is predicted from a probability of 0.001 "
        f"(set by threshold=); in {folder}: predictions.csv, tiles.csv, maps/"
    )
    found = rows(folder / "predictions.csv")
    assert {row["threshold"] for row in found} == {"0.001"}
    assert [row["predicted"] for row in found] == ["", *["crack"] * 6]
    assert {row["called_crack"] for row in rows(folder / "tiles.csv")} == {"1"}


def test_no_file_that_can_be_read_is_a_mistake_whose_reasons_are_kept(
    checkpoint: Callable[..., str], site: Path, tmp_path: Path, capsys: Captured, rows: ReadRows
) -> None:
    broken = str(site / "a, broken.jpg")
    assert predicted(tmp_path / "out", checkpoint(), broken) == 2
    assert f"source: none of 1 files can be read: {broken} (a web page" in capsys.readouterr().err
    [row] = rows(made(tmp_path / "out") / "predictions.csv")
    assert "web page" in row["problem"]


@pytest.mark.parametrize("threshold", ["0", "1", "1.5", "nan", "-0.1"])
def test_a_threshold_out_of_range_is_refused(threshold: str, tmp_path: Path, capsys: Captured) -> None:
    assert predicted(tmp_path, "checkpoint=builtin", "source=.", f"threshold={threshold}") == 2
    assert "threshold: expected a number between 0 and 1, got" in capsys.readouterr().err
