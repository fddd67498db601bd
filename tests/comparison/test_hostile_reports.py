"""Reports from untrusted sources in a comparison."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

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
def test_an_invalid_report_is_refused_in_one_sentence(content: str, tmp_path: Path) -> None:
    assert read_runs([written(tmp_path / "good", json.dumps(REPORT))])[0].title == "a on b"
    with pytest.raises(DataError, match=r"runs: '.*bad' holds no finished run \("):
        read_runs([written(tmp_path / "bad", content)])


@pytest.mark.parametrize("rows", ["", "path\na\n", "path,label,group,predicted\n" + "x" * 200_000])
def test_invalid_predictions_are_refused_in_one_sentence(rows: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"runs: "):
        read_runs([written(tmp_path / "bad", json.dumps(REPORT), rows)])
