from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from crack_lightning.report.write import write_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crack_lightning.report.inputs import ReportTiles

    DrawRun = Callable[..., Any]

TEST_PICTURES = {"confusion_matrix.png", "roc_curve.png", "pr_curve.png", "reliability.png"}
PICTURES = TEST_PICTURES | {
    "misses_against_false_alarms.png",
    "loss_curve.png",
    "accuracy_curve.png",
    "example_tiles.png",
    "augmentations.png",
}
TWO_TESTED = (2, "crack", None)
TEXTS = {"classification_report.txt", "report.html", "report.json", "report.md"}


@pytest.fixture(scope="module")
def arguments(
    draw_run: DrawRun, history: list[dict[str, float]], report_tiles: ReportTiles
) -> dict[str, Any]:
    table, predictions = draw_run()
    return {
        "title": "plain_cnn on synthetic",
        "predictions": predictions,
        "table": table,
        "history": history,
        "provenance": {"command": "train", "best_epoch": 1, "created": "now", "timing": {"seconds": {}}},
        "tiles": report_tiles,
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, arguments: dict[str, Any]) -> Path:
    return write_report(tmp_path_factory.mktemp("run"), **arguments)


def read_strictly(path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def test_a_report_has_all_its_files_and_no_other(written: Path) -> None:
    assert (written.name, written.parent.name) == ("report.md", "report")
    assert {path.name for path in written.parent.iterdir()} == PICTURES | TEXTS
    assert {path.name for path in written.parents[1].iterdir()} == {"report", "predictions.csv"}


def test_every_picture_opens_and_is_embedded(written: Path) -> None:
    assert set(re.findall(r"!\[[^]]+\]\(([^)]+)\)", written.read_text(encoding="utf-8"))) == PICTURES
    for name in PICTURES:
        with Image.open(written.parent / name) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) >= 200


def test_every_link_of_the_report_leads_to_a_file(written: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", written.read_text(encoding="utf-8"))
    assert len(links) > len(PICTURES)
    assert [link for link in links if not (written.parent / link).is_file()] == []


def test_the_json_is_strict_and_agrees_with_the_classification_report(written: Path) -> None:
    contents = read_strictly(written.parent / "report.json")
    text = (written.parent / "classification_report.txt").read_text(encoding="utf-8")
    row = contents["classes"]["crack"]
    expected = ["crack", *(f"{row[key]:.4f}" for key in ("precision", "recall", "f1")), str(row["support"])]
    assert expected in [line.split() for line in text.splitlines()]
    assert contents["history"][1]["val/loss"] is None
    assert contents["curves"]["roc"]["crack"]["threshold"][0] is None


def test_two_equal_runs_differ_in_nothing_but_their_times(
    written: Path, tmp_path: Path, arguments: dict[str, Any]
) -> None:
    later = arguments["provenance"] | {"timing": {"seconds": {"training": 99.0}}, "created": "later"}
    again = write_report(tmp_path, **arguments | {"provenance": later})
    for name in (PICTURES | TEXTS) - {"report.html", "report.json", "report.md"}:
        assert (written.parent / name).read_bytes() == (again.parent / name).read_bytes(), name
    first, second = (read_strictly(path.parent / "report.json") for path in (written, again))
    assert first != second
    for contents in (first, second):
        del contents["timing"], contents["created"]
    assert first == second
    tables = [(path.parents[1] / "predictions.csv").read_bytes() for path in (written, again)]
    assert tables[0] == tables[1]


@pytest.mark.parametrize("absent", [None, 0, 1])
@pytest.mark.parametrize(("num_classes", "positive"), [(2, "crack"), (2, None), (3, "crack"), (3, None)])
def test_any_classes_give_a_report_even_where_one_is_not_tested(
    tmp_path: Path, draw_run: DrawRun, num_classes: int, positive: str | None, absent: int | None
) -> None:
    table, predictions = draw_run(num_classes=num_classes, positive=positive, absent=absent)
    report = write_report(tmp_path, title="t", predictions=predictions, table=table, provenance={})
    thresholds = (
        {"misses_against_false_alarms.png"} if (num_classes, positive, absent) == TWO_TESTED else set()
    )
    pictures = {"confusion_matrix.png"} if num_classes == 2 and absent is not None else TEST_PICTURES
    assert {path.name for path in report.parent.iterdir()} == pictures | TEXTS | thresholds
    text = report.read_text(encoding="utf-8")
    assert ("No test tile is of class" in text) == (absent is not None)
    assert "nan" not in text
    read_strictly(report.parent / "report.json")


def test_a_report_of_12000_tiles_stays_small(
    tmp_path: Path, draw_run: DrawRun, arguments: dict[str, Any]
) -> None:
    table, predictions = draw_run(tiles=24_000)
    assert len(predictions) == 12_000
    report = write_report(tmp_path, **arguments | {"table": table, "predictions": predictions})
    assert report.with_name("report.html").stat().st_size < 6e6  # what it costs is measured by benchmarks/


def test_a_worker_process_writes_the_same_report(
    written: Path, tmp_path: Path, arguments: dict[str, Any]
) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = pool.submit(write_report, tmp_path, **arguments).result()
    for path in written.parent.iterdir():
        assert there.with_name(path.name).read_bytes() == path.read_bytes(), path.name


def test_writing_reports_needs_neither_pyplot_nor_torch_nor_scipys_statistics() -> None:
    code = (
        "import sys, crack_lightning.report.write, crack_lightning.report.render.console; "
        "print({'matplotlib.pyplot', 'scipy.stats', 'torch', 'pytorch_lightning'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
