"""Runs side by side, from folders of reports that differ in known ways."""

from __future__ import annotations

import csv
import json
import shlex
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crack_lightning.cli.main import main
from crack_lightning.comparison import aggregate, comparison
from crack_lightning.comparison.reference_tests import BEST_TESTED, MANY_RUNS
from crack_lightning.comparison.run_results import differing_keys, read_runs
from crack_lightning.config import PredictConfig, write_config

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from crack_lightning.comparison.run_results import RunResult


def write_run(
    folder: Path,
    right: np.ndarray[Any, Any],
    *,
    first: int = 0,
    tested: str = "same",
    validation: float | None = None,
    photo_tiles: int | None = 5,
    **settings: Any,
) -> Path:
    """Write what a run leaves and a comparison reads; its test tiles are numbered from ``first``."""
    (folder / "report").mkdir(parents=True)
    accuracy = float(right.mean())
    report = {
        "title": folder.name,
        "class_names": ["crack", "intact"],
        "positive_class": "crack",
        "metrics": {"accuracy": accuracy, "errors": int((~right).sum()), "tiles": len(right)},
        "uncertainty": {
            "intervals": {"accuracy": {"low": accuracy - 0.01, "high": accuracy + 0.01, "method": "Wilson"}}
        },
        "data": {"test_sha256": tested, "splits": {"train": {"tiles": 5000}}},
        "provenance": {"settings": {"seed": 0, "model": {"name": "m"}, **settings}, "parameters": 1000},
        "timing": {"seconds": {"data": 1.0, "training": 9.0, "test": 2.0}},
    }
    (folder / "report" / "report.json").write_text(json.dumps(report), encoding="utf-8")
    with (folder / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "group", "label", "predicted"])
        for number, hit in enumerate(right.tolist(), start=first):
            truth, other = ("crack", "intact") if number % 2 else ("intact", "crack")
            photo = f"p{number // photo_tiles}" if photo_tiles else ""
            writer.writerow([f"{number:04d}.jpg", photo, truth, truth if hit else other])
    if validation is not None:
        state = {"validation": {"val/accuracy": validation, "val/loss": 1 - validation}}
        (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    return folder


def compared(outputs: Path) -> dict[str, Any]:
    [path] = outputs.glob("*/*_compare/comparison.json")
    contents: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return contents


def test_runs_are_ordered_tested_and_their_settings_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for name, share in (("good", 0.98), ("bad", 0.8), ("fair", 0.97)):
        right = rng.random(600) < share
        write_run(tmp_path / "sweep" / name, right, optimizer={"lr": share}, validation=share)
    assert main(["compare", str(tmp_path / "sweep"), f"outputs={tmp_path / 'out'}"]) == 0
    contents = compared(tmp_path / "out")
    assert [row["run"] for row in contents["runs"]][-1] == "bad"
    assert contents["differing"] == ["optimizer.lr"]
    told = {row["run"]: row for row in contents["tests"]}
    assert (contents["reference"]["run"], set(told)) == ("good", {"bad", "fair"})
    assert told["bad"]["p_adjusted"] < 0.001
    assert told["bad"]["high"] < 0
    assert told["fair"]["p"] > 0.05
    [written] = (tmp_path / "out").glob("*/*_compare/comparison.html")
    page = written.read_text(encoding="utf-8")
    assert "not tested" not in page
    assert "data:image/png" in page
    said = capsys.readouterr().out
    assert "bad" in said
    assert said.endswith(f"\nComparison: {written}\n")
    with next((tmp_path / "out").glob("*/*_compare/comparison.csv")).open(encoding="utf-8") as file:
        assert [row["optimizer.lr"] for row in csv.DictReader(file)][-1] == "0.8"


def test_the_reference_is_chosen_on_validation_tiles_and_not_on_the_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    for name, test, validation in (("lucky", 0.99, 0.90), ("chosen", 0.95, 0.97), ("other", 0.8, 0.93)):
        write_run(tmp_path / "runs" / name, rng.random(600) < test, validation=validation, named=name)
    assert main(["compare", str(tmp_path / "runs"), f"outputs={tmp_path / 'out'}"]) == 0
    contents = compared(tmp_path / "out")
    assert contents["reference"]["run"] == "chosen"
    assert {row["against"] for row in contents["tests"]} == {"chosen"}
    [row] = [row for row in contents["tests"] if row["run"] == "lucky"]
    assert row["difference"] > 0
    said = "chosen by the highest accuracy on validation tiles"
    assert f"Reference: chosen, {said}." in " ".join(capsys.readouterr().out.split())
    assert said in next((tmp_path / "out").glob("*/*_compare/comparison.html")).read_text(encoding="utf-8")


def test_without_validation_figures_the_reference_is_the_first_listed_and_that_is_said(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(1)
    write_run(tmp_path / "first", rng.random(600) < 0.8)
    write_run(tmp_path / "second", rng.random(600) < 0.99, validation=0.99, named="second")
    runs = [str(tmp_path / name) for name in ("first", "second")]
    assert main(["compare", *runs, f"outputs={tmp_path / 'out'}"]) == 0
    contents = compared(tmp_path / "out")
    assert contents["reference"]["run"] == "first"
    assert contents["chosen_by"].startswith("order (the first run), as not every run has")


@pytest.mark.parametrize(
    ("photo_tiles", "sentence"),
    [
        (None, "the photos of the test tiles are unknown"),
        (120, "6 or more photos are needed, and the test has 5"),
    ],
)
def test_unknown_or_few_photos_give_a_sentence_in_place_of_a_p_value(
    photo_tiles: int | None, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for name, share in (("a", 0.99), ("b", 0.8)):
        write_run(tmp_path / "runs" / name, rng.random(600) < share, photo_tiles=photo_tiles, named=name)
    assert main(["compare", str(tmp_path / "runs"), f"outputs={tmp_path / 'out'}"]) == 0
    [test] = compared(tmp_path / "out")["tests"]
    assert test["difference"] < -0.1
    assert sentence in test["untested"]
    assert not {"p", "p_adjusted", "low", "high"} & test.keys()
    assert sentence in " ".join(capsys.readouterr().out.split())
    page = next((tmp_path / "out").glob("*/*_compare/comparison.html")).read_text(encoding="utf-8")
    assert sentence in page


def test_settings_are_looked_through_as_often_for_many_runs_as_for_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def counted(runs: Sequence[RunResult]) -> list[str]:
        looked.append(len(runs))
        return differing_keys(runs)

    monkeypatch.setattr(aggregate, "differing_keys", counted)
    monkeypatch.setattr(comparison, "differing_keys", counted)
    folders = [write_run(tmp_path / str(n), np.arange(60) >= n % 7, seed=n % 5, lr=n) for n in range(40)]
    counts = []
    for number in (10, 40):
        looked.clear()
        comparison.compare_runs(read_runs(folders[:number])[0])
        counts.append(len(looked))
    assert counts[0] == counts[1]


def test_other_test_tiles_are_not_tested(tmp_path: Path) -> None:
    write_run(tmp_path / "a", np.ones(100, np.bool_))
    write_run(tmp_path / "b", np.ones(60, np.bool_), data={"seed": 1})
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), f"outputs={tmp_path / 'out'}"]) == 0
    [test] = compared(tmp_path / "out")["tests"]
    assert test["refused"].startswith("other test tiles: 60 of ")


def test_files_of_the_same_names_are_not_taken_for_the_same_tiles(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name, np.ones(100, np.bool_), tested=name)
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), f"outputs={tmp_path / 'out'}"]) == 0
    [test] = compared(tmp_path / "out")["tests"]
    assert test["refused"] == "other test tiles: their names are the same, but not their files"


def test_every_setting_that_differs_is_shown_and_runs_of_two_folders_are_told_apart(tmp_path: Path) -> None:
    for folder, epochs in (("one", 3), ("two", 5)):
        for number, logger in enumerate(({}, {"tensorboard": {"name": "t"}})):
            right = np.arange(200) >= number
            trainer = {"max_epochs": epochs}
            write_run(tmp_path / folder / str(number), right, trainer=trainer, logger=logger)
    sweeps = [str(tmp_path / "one"), str(tmp_path / "two")]
    assert main(["compare", *sweeps, f"outputs={tmp_path / 'out'}"]) == 0
    contents = compared(tmp_path / "out")
    assert contents["differing"] == ["logger", "logger.tensorboard.name", "trainer.max_epochs"]
    assert {row["run"] for row in contents["runs"]} == {"one/0", "one/1", "two/0", "two/1"}
    assert len({row["run"] for row in contents["tests"]}) == 3
    line = ["python", "-m", "crack_lightning.compare", f"outputs={tmp_path / 'out'}", *sweeps]
    assert shlex.split(contents["command"]) == line


def test_folds_are_pooled_over_all_of_their_tiles(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    right = {lr: rng.random(300) < share for lr, share in ((0.1, 0.98), (0.2, 0.8))}
    for lr, hits in right.items():
        for fold in range(3):
            own: dict[str, Any] = {"optimizer": {"lr": lr}, "data": {"split": {"folds": 3, "fold": fold}}}
            part = slice(100 * fold, 100 * fold + 100)
            name = f"{lr}_{fold}"
            write_run(tmp_path / "runs" / name, hits[part], first=part.start, tested=str(fold), **own)
    assert main(["compare", f"runs={tmp_path / 'runs'}", f"outputs={tmp_path / 'out'}"]) == 0
    contents = compared(tmp_path / "out")
    best, other = contents["pooled"]
    crack = np.arange(300) % 2 == 1
    for pool, lr in ((best, 0.1), (other, 0.2)):
        assert pool["metrics"]["accuracy"] == pytest.approx(right[lr].mean())
        assert pool["metrics"]["recall_crack"] == pytest.approx(right[lr][crack].mean())
        assert pool["metrics"]["specificity"] == pytest.approx(right[lr][~crack].mean())
        assert pool["intervals"]["accuracy"]["low"] < right[lr].mean() < pool["intervals"]["accuracy"]["high"]
        assert pool["seconds"] == pytest.approx(36)
        assert pool["settings"]["data.split.fold"] == "3 of 3"
    [test] = contents["tests"]
    assert (test["run"], test["against"]) == (other["run"], best["run"])
    gain = (right[0.2].astype(int) - right[0.1]).reshape(-1, 5).sum(axis=1)
    assert test["difference"] == pytest.approx(gain.sum() / 300)
    flips = np.random.default_rng(0).choice([-1, 1], (100_000, len(gain))) @ gain
    assert test["p"] == pytest.approx(np.mean(np.abs(flips) >= abs(gain.sum())), abs=1e-3)
    assert contents["repeated"] == []


def test_repetitions_are_put_together_and_paired(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for seed in range(4):
        for lr, share in ((0.1, 0.97), (0.2, 0.9)):
            name = f"{lr}_{seed}"
            write_run(tmp_path / "runs" / name, rng.random(500) < share, seed=seed, optimizer={"lr": lr})
    assert main(["compare", f"runs={tmp_path / 'runs'}", f"outputs={tmp_path / 'out'}"]) == 0
    best, other = compared(tmp_path / "out")["repeated"]
    assert (best["settings"], best["repetitions"]) == ({"optimizer.lr": 0.1}, 4)
    assert other["difference"] == pytest.approx(-0.05, abs=0.02)
    assert other["low"] < other["difference"] < other["high"] < 0


def test_seeds_on_other_test_tiles_are_not_paired(tmp_path: Path) -> None:
    for seed in range(2):
        for lr in (0.1, 0.2):
            right = np.arange(100) >= 10 * lr
            tested = f"{seed} {lr}"
            write_run(tmp_path / f"{lr}_{seed}", right, tested=tested, seed=seed, optimizer={"lr": lr})
    assert main(["compare", str(tmp_path), f"outputs={tmp_path / 'out'}"]) == 0
    _, other = compared(tmp_path / "out")["repeated"]
    assert other["refused"].startswith("other test tiles")


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        ([], "there is no finished run in"),
        (["one"], "two or more finished runs are expected, got 1"),
    ],
)
def test_what_cannot_be_compared_is_said(
    made: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in made:
        write_run(tmp_path / "runs" / name, np.ones(10, np.bool_))
    assert main(["compare", str(tmp_path / "runs"), f"outputs={tmp_path / 'out'}"]) == 2
    assert sentence in capsys.readouterr().err


def test_answers_of_predict_are_named_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        folder = tmp_path / "day" / f"{name}_predict"
        folder.mkdir(parents=True)
        write_config(PredictConfig(checkpoint="builtin", source=["site"]), folder / "config.yaml")
        (folder / "predictions.csv").write_text("path,predicted\n")
    for given in (tmp_path / "day" / "a_predict", tmp_path / "day"):
        assert main(["compare", str(given), f"outputs={tmp_path / 'out'}"]) == 2
        said = capsys.readouterr().err
        assert f"runs: '{given}' holds predictions without labels" in said
        assert "run evaluate" in said


def test_damaged_and_unfinished_runs_are_named_and_the_others_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [write_run(tmp_path / "runs" / name, np.ones(10, np.bool_)) for name in "abc"]
    (folders[1] / "report" / "report.json").write_text("{", encoding="utf-8")
    (tmp_path / "runs" / "d").mkdir()
    (tmp_path / "runs" / "d" / "config.yaml").write_text("recipe:\n  name: probe\n", encoding="utf-8")
    few = [str(folder) for folder in folders[:2]]
    assert main(["compare", *few, f"outputs={tmp_path / 'out'}"]) == 2
    error = capsys.readouterr().err
    assert "two or more finished runs are expected, got 1" in error
    assert f"'{folders[1]}': its report/report.json cannot be read (" in error
    assert not (tmp_path / "out").exists()
    assert main(["compare", str(tmp_path / "runs"), f"outputs={tmp_path / 'out'}"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "Without a result, and not compared: 2 b: its report/report.json cannot be read (" in output
    assert "d: unfinished: there is no report/report.json" in output
    contents = compared(tmp_path / "out")
    assert [row["run"] for row in contents["runs"]] == ["a", "c"]
    assert [row["run"] for row in contents["without"]] == ["b", "d"]
    page = next((tmp_path / "out").glob("*/*_compare/comparison.html")).read_text(encoding="utf-8")
    assert "unfinished: there is no report/report.json" in page


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """504 runs, two seeds a setting, the last best on validation tiles; the predictions of one damaged."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("many")
    for number in range(MANY_RUNS + 4):
        optimizer = {"lr": number // 2, "name": "</script>" if number > 1 else "a"}
        right, validation = rng.random(60) < 0.9, number / 1000
        write_run(folder / str(number), right, validation=validation, seed=number % 2, optimizer=optimizer)
    (folder / "490" / "predictions.csv").write_text("path,label\n", encoding="utf-8")
    return folder


def test_of_many_runs_the_best_on_validation_tiles_are_tested_and_the_page_has_all_as_data(
    many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(many), f"outputs={tmp_path / 'out'}"]) == 0
    contents = compared(tmp_path / "out")
    assert (len(contents["runs"]), contents["reference"]["run"]) == (MANY_RUNS + 4, str(MANY_RUNS + 3))
    tests = {int(row["run"]): row for row in contents["tests"]}
    assert sorted(tests) == list(range(MANY_RUNS + 3 - BEST_TESTED, MANY_RUNS + 3))
    assert tests.pop(490)["refused"] == "its predictions.csv cannot be read (it has no rows)"
    assert all("p_adjusted" in row for row in tests.values())
    rule = "Tested against it: the 20 best on validation tiles of 503; tested=[name,…] tests others."
    output = " ".join(capsys.readouterr().out.split())
    assert rule in output
    assert "Shown: the first 20 of 504 runs by test accuracy" in output
    page = next((tmp_path / "out").glob("*/*_compare/comparison.html")).read_text(encoding="utf-8")
    assert page.count(rule) == 2
    runs, repeated = (json.loads(text.partition("</script>")[0]) for text in page.split('/json">')[1:])
    assert len(runs["rows"]) == MANY_RUNS + 4
    keys = [column["key"] for column in runs["columns"]]
    assert keys[:4] == ["run", "optimizer.lr", "optimizer.name", "seed"]
    assert {row[2] for row in runs["rows"]} == {"a", "</script>"}
    refused = [row[-1] for row in repeated["rows"]]
    assert refused.count("not among the 20 best on validation tiles") == (MANY_RUNS + 4) // 2 - 21


def test_named_runs_are_tested_and_an_unknown_name_is_refused(
    many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compare", str(many), f"outputs={tmp_path / 'out'}"]
    assert main([*arguments, "tested=[3,7]"]) == 0
    assert {row["run"] for row in compared(tmp_path / "out")["tests"]} == {"3", "7"}
    assert "Tested against it: the 2 named of 503." in " ".join(capsys.readouterr().out.split())
    assert main([*arguments, "tested=[runs/504]"]) == 2
    assert "tested: there is no run 'runs/504' among the 504 compared; " in capsys.readouterr().err
