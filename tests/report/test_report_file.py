"""``report.json`` of this version and of older ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crack_lightning.report.report_file import SCHEMA_VERSION, read_report, to_builtin, to_json


def test_nan_and_infinity_become_none() -> None:
    value: dict[Any, Any] = {
        "nan": float("nan"),
        "array": np.array([1.5, np.inf]),
        "numpy": np.int64(3),
        "path": Path("a") / "b",
        4: (True, None),
    }
    assert to_builtin(value) == {
        "nan": None,
        "array": [1.5, None],
        "numpy": 3,
        "path": "a/b",
        "4": [True, None],
    }


def test_json_holds_the_contents_unchanged() -> None:
    contents = {"title": 'ünï "x"', "a": [1, {"b": None}], "curves": {"roc": {"crack": {"x": [0.1, 0.2]}}}}
    assert json.loads(to_json(contents)) == contents


OLD = Path(__file__).parent / "report_before_schema_versions.json"


def test_a_report_from_before_schema_versions_is_read_under_the_current_names(tmp_path: Path) -> None:
    report = read_report(OLD, {"title": str})
    assert report["metrics"]["false_negatives"] == 3
    assert report["ood"]["aurc"].keys() == {"by_ood_score", "by_confidence"}
    assert report["pod"]["detected"] + report["metrics"]["false_negatives"] == report["pod"]["cracks"]
    assert report["near_duplicates"]["searched"] is True
    made = report["provenance"]
    assert (made["backend"], made["excluded_files"]) == ("eager PyTorch on cpu", [])
    assert (made["excluded_training_tiles"], made["weights_warning"]) == (4, "w")
    assert made["max_abs_difference_from_float32"] == 0.5


def test_a_report_of_version_1_is_read_under_the_current_names(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"schema_version": 1, "provenance": {"engine": "x"}}), encoding="utf-8")
    assert read_report(path, {})["provenance"] == {"backend": "x"}


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, -1, "1", True, None])
def test_a_report_of_an_unknown_version_is_refused_with_what_to_do(tmp_path: Path, version: object) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"schema_version": version}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"schema_version .* run evaluate again"):
        read_report(path, {})
