"""Reports from untrusted sources in a comparison."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from crack_lightning.comparison.comparison import compare_runs
from crack_lightning.comparison.run_results import read_runs
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

REPORT: dict[str, Any] = {
    "title": "a on b",
    "class_names": ["intact", "crack"],
    "positive_class": "crack",
    "metrics": {"accuracy": 0.5, "auroc_crack": None, "tiles": 1, "errors": 0},
    "uncertainty": {"intervals": {"accuracy": {"low": 0.1, "high": 0.9, "method": "x"}}},
    "data": {"splits": {"train": {"tiles": 3}}},
    "provenance": {"settings": {"seed": 0, "model": {"name": "a"}}, "parameters": 7},
    "timing": {"seconds": {"test": 1.5}},
}
ROWS = "path,label,group,predicted\na.png,crack,g,crack\n"


def written(folder: Path, content: str, rows: str = ROWS) -> Path:
    (folder / "report").mkdir(parents=True)
    (folder / "report" / "report.json").write_text(content, encoding="utf-8")
    (folder / "predictions.csv").write_text(rows, encoding="utf-8")
    return folder


WRONG = {
    "nothing": "null",
    "a broken file": "{",
    "no accuracy": json.dumps(REPORT | {"metrics": {"accuracy": None, "tiles": 1, "errors": 0}}),
    "no number": json.dumps(REPORT | {"metrics": {"accuracy": float("nan"), "tiles": 1, "errors": 0}}),
    "an accuracy of 7": json.dumps(REPORT | {"metrics": {"accuracy": 7, "tiles": 1, "errors": 0}}),
    "a list of accuracies": json.dumps(REPORT | {"metrics": {"accuracy": [0.9], "tiles": 1, "errors": 0}}),
    "a later version": json.dumps(REPORT | {"schema_version": 99}),
    "a list": "[]",
    "a text": '"x"',
    "deep": "[" * 20_000,
    "a class that is none": json.dumps(REPORT | {"class_names": [3]}),
    "a list of figures": json.dumps(REPORT | {"metrics": [0.5]}),
    "no number of tiles": json.dumps(REPORT | {"metrics": {"accuracy": 0.5}}),
    "a text for a figure": json.dumps(REPORT | {"metrics": {"accuracy": "0.5"}}),
    "infinite seconds": json.dumps(REPORT | {"timing": {"seconds": {"test": float("inf")}}}),
    "no seconds": json.dumps(REPORT | {"timing": {"seconds": {"test": None}}}),
    "a giant setting": json.dumps(REPORT | {"provenance": {"settings": {"seed": 10**400}, "parameters": 7}}),
    "a limit that is none": json.dumps(REPORT | {"uncertainty": {"intervals": {"accuracy": {"low": {}}}}}),
    "half a character": json.dumps(REPORT | {"title": "\ud800"}),
    "minus one weight": json.dumps(REPORT | {"provenance": {"settings": {}, "parameters": -1}}),
}


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_an_invalid_report_is_named_beside_the_others(content: str, tmp_path: Path) -> None:
    bad = written(tmp_path / "bad", content)
    runs, reasons = read_runs([written(tmp_path / "good", json.dumps(REPORT)), bad])
    assert [run.title for run in runs] == ["a on b"]
    assert reasons.keys() == {bad}
    assert reasons[bad].startswith("its report/report.json cannot be read (")


@pytest.mark.parametrize("rows", ["", "path\na\n", "path,label,group,predicted\n" + "x" * 200_000])
def test_a_run_with_invalid_predictions_is_compared_by_its_report_and_not_tested(
    rows: str, tmp_path: Path
) -> None:
    bad = written(tmp_path / "bad", json.dumps(REPORT), rows)
    runs, _ = read_runs([bad, written(tmp_path / "good", json.dumps(REPORT))])
    contents = compare_runs(runs)
    assert [row["run"] for row in contents["runs"]] == ["bad", "good"]
    assert contents["reference"]["run"] == "good"
    [test] = contents["tests"]
    assert test["refused"].startswith("its predictions.csv cannot be read (")


def test_runs_whose_predictions_are_all_damaged_are_refused(tmp_path: Path) -> None:
    runs, _ = read_runs([written(tmp_path / name, json.dumps(REPORT), "") for name in "ab"])
    with pytest.raises(DataError, match=r"runs: no run's predictions can be read \('a': its predictions"):
        compare_runs(runs)


def test_a_report_without_predictions_is_named(tmp_path: Path) -> None:
    bad = written(tmp_path / "bad", json.dumps(REPORT))
    (bad / "predictions.csv").unlink()
    assert "predictions.csv is missing" in read_runs([bad])[1][bad]
