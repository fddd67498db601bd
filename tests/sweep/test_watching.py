"""What is seen of a sweep, in a terminal and elsewhere."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from crack_lightning.sweep.journal import DONE, FAILED, PLANNED, RUNNING, Job
from crack_lightning.sweep.watching import Watch, best_of

if TYPE_CHECKING:
    from pathlib import Path


def jobs(folder: Path) -> list[Job]:
    """Two done, one failed, one running, one to come."""
    states = ((DONE, 0.7), (DONE, 0.9), (FAILED, None), (RUNNING, None), (PLANNED, None))
    found = []
    for number, (state, accuracy) in enumerate(states):
        job = Job(number=number, folder=folder / str(number), config={}, overrides=["a=1", f"b=[{number}]"])
        job.state = state
        if accuracy is not None:
            (job.folder / "report").mkdir(parents=True)
            report = json.dumps({"metrics": {"accuracy": accuracy}})
            (job.folder / "report" / "report.json").write_text(report, encoding="utf-8")
        found.append(job)
    found[2].reason = "ValueError: [red]7"
    return found


@pytest.mark.parametrize("terminal", [False, True])
def test_a_sweep_says_how_far_it_is_and_what_is_best(tmp_path: Path, *, terminal: bool) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=160)
    all_jobs = jobs(tmp_path)
    with Watch(all_jobs, tmp_path, total=5, compares=False, console=console) as watch:
        watch.started(all_jobs[3])
        watch.ended(all_jobs[2])
    watch.close()
    text = shown.getvalue()
    assert "job 3 of 5: b=[3]" in text
    assert "job 2 failed: ValueError: [red]7" in text
    assert "2 of 5 done; 1 failed; best so far job 1 (accuracy 0.9000); about" in text
    assert "a=1" not in text
    with (tmp_path / "jobs.csv").open(encoding="utf-8", newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)][2] == "failed: ValueError: [red]7"


def test_the_comparison_is_written_when_there_is_time_and_runs_have_ended(tmp_path: Path) -> None:
    written: list[int] = []

    class Counting(Watch):
        def compare(self) -> None:
            written.append(len(written))
            super().compare()

    found = jobs(tmp_path)
    watch = Counting(found, tmp_path, total=5, compares=False, console=Console(file=io.StringIO()))
    watch.waits()
    assert written == []
    watch.ended(found[0])
    assert written == []
    watch.waits()
    watch.waits()
    assert written == [0]


def test_the_best_of_a_search_is_by_its_first_objective(tmp_path: Path) -> None:
    found = jobs(tmp_path)[:2]
    found[0].values, found[1].values = {"val/loss": 0.1, "seconds": 9.0}, {"val/loss": 0.2, "seconds": 1.0}
    best = best_of(found)
    assert best is not None
    assert best.number == 0
