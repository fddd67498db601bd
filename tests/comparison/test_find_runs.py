"""Folders below the compared ones: finished runs, and others with the reason why they are not compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from crack_lightning.comparison.find_runs import find_runs
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

RUN, EVALUATION = (
    "seed: 0\nmodel:\n  name: m\nrecipe:\n  name: probe\n",
    "checkpoint: builtin\ndata:\n  source: x\n",
)
FAILED = json.dumps({"state": "failed", "reason": "ValueError: 7"})


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"config_yaml": RUN}, "unfinished: there is no report/report.json"),
        ({"config_yaml": EVALUATION, "predictions_csv": "path\n"}, "unfinished: there is no"),
        ({"outcome_json": FAILED}, "failed: ValueError: 7"),
        ({"config_yaml": RUN, "outcome_json": FAILED}, "failed: ValueError: 7"),
        ({"config_yaml": RUN, "outcome_json": "{"}, "failed: its outcome.json cannot be read ("),
        ({"config_yaml": RUN, "outcome_json": '{"state": "\\ud800"}'}, "outcome.json cannot be read ("),
        ({"config_yaml": "checkpoint: m.ckpt\nsource: [site]\n"}, "predictions without labels"),
        ({"config_yaml": "\x00\ud800".encode("utf-8", "surrogatepass").decode("latin-1")}, ""),
        ({"config_yaml": "data:\n  source: x\n"}, ""),
        ({"config_yaml": "- a list"}, ""),
        ({"report__other_json": "{}"}, ""),
        ({"notes_txt": "mine"}, ""),
    ],
)
def test_a_folder_without_a_report_is_named_with_the_reason(
    files: dict[str, str], reason: str, tmp_path: Path
) -> None:
    good = write(tmp_path / "good", report__report_json="{}", config_yaml=RUN)
    other = write(tmp_path / "deep" / "other", **files)
    finished, others = find_runs([tmp_path])
    assert finished == [good]
    assert (reason in others[other]) if reason else others == {}


def test_runs_come_in_the_order_of_their_numbers_each_once(tmp_path: Path) -> None:
    folders = [write(tmp_path / str(number), report__report_json="{}") for number in (10, 9, 1)]
    assert find_runs([tmp_path])[0] == folders[::-1]
    assert find_runs([folders[1], tmp_path])[0] == [folders[1], folders[2], folders[0]]


def test_no_link_is_followed_and_no_report_inside_a_report_is_read(tmp_path: Path) -> None:
    run = write(tmp_path / "runs" / "0", report__report_json="{}")
    write(run / "report" / "x", report__report_json="{}")
    write(tmp_path / "elsewhere", report__report_json="{}")
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "elsewhere")
    assert find_runs([tmp_path / "runs"]) == ([run], {})


def test_a_folder_with_nothing_to_compare_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"runs: there is no finished run in '{tmp_path}'; give folders"):
        find_runs([tmp_path])
