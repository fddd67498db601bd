"""What is seen of a sweep, in a terminal and elsewhere."""

from __future__ import annotations

import csv
import errno
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from jinja2 import UndefinedError
from rich.console import Console

from crack_lightning.comparison import comparison
from crack_lightning.runtime.errors import DataError, Interrupted
from crack_lightning.sweep import progress
from crack_lightning.sweep.journal import DONE, FAILED, PLANNED, RUNNING, Job
from crack_lightning.sweep.progress import SweepProgress, best_job

if TYPE_CHECKING:
    from collections.abc import Callable
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


def watched(all_jobs: list[Job], folder: Path, **settings: Any) -> tuple[SweepProgress, io.StringIO]:
    """Return the progress of a sweep of five jobs, and what it prints."""
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=settings.pop("terminal", False), width=400)
    return SweepProgress(all_jobs, folder, total=5, console=console, **settings), shown


@pytest.mark.parametrize("terminal", [False, True])
def test_a_sweep_says_how_far_it_is_and_what_is_best(tmp_path: Path, *, terminal: bool) -> None:
    all_jobs = jobs(tmp_path)
    watch, shown = watched(all_jobs, tmp_path, compares=False, terminal=terminal)
    with watch:
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


def test_the_comparison_is_written_when_there_is_time_and_runs_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    monkeypatch.setattr(comparison, "compare_folders", lambda *_, **__: {"transfer": {"rows": []}})
    monkeypatch.setattr(comparison, "write_comparison", lambda *_, **__: written.append(tmp_path))
    watch, _ = watched(jobs(tmp_path), tmp_path, compares=True)
    watch.on_idle()
    watch.ended(watch.jobs[0])
    assert written == []
    watch.on_idle()
    watch.on_idle()
    assert written == [tmp_path]


def test_the_best_of_a_search_is_by_its_first_objective(tmp_path: Path) -> None:
    found = jobs(tmp_path)[:2]
    found[0].values, found[1].values = {"val/loss": 0.1, "seconds": 9.0}, {"val/loss": 0.2, "seconds": 1.0}
    best = best_job(found)
    assert best is not None
    assert best.number == 0


def fail(error: BaseException) -> Callable[..., Any]:
    def failing(*_: object, **__: object) -> Any:
        raise error

    return failing


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        PermissionError(errno.EACCES, "Permission denied"),
        UndefinedError("'intervals' is undefined"),
        DataError("runs: '3' holds no finished run"),
        MemoryError(),
        RecursionError("maximum recursion depth exceeded"),
    ],
)
def test_nothing_that_prevents_the_comparison_ends_a_sweep(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "compare_folders", fail(error))
    watch, shown = watched(jobs(tmp_path), tmp_path, compares=True)
    watch.on_idle()
    watch.ended(watch.jobs[0])
    watch.on_idle()
    watch.close()
    text = shown.getvalue()
    assert f"'{tmp_path / 'comparison.html'}' could not be written ({type(error).__name__}:" in text
    assert f"make the comparison again: python -m crack_lightning.compare {tmp_path}" in text
    trace = (tmp_path / "comparison.html.traceback.txt").read_text(encoding="utf-8")
    assert trace.startswith("Traceback (most recent call last):")
    assert type(error).__name__ in trace
    assert "\nComparison: " not in text


def test_a_folder_that_takes_no_file_ends_no_sweep_and_the_traceback_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(comparison, "compare_folders", fail(full))
    for name in ("write_text", "write_jobs_table"):
        monkeypatch.setattr(progress, name, fail(full))
    watch, shown = watched(jobs(tmp_path), tmp_path, compares=True)
    for job in watch.jobs:
        watch.ended(job)
    watch.close()
    text = shown.getvalue()
    assert text.count("jobs.csv' could not be written") == 1
    assert text.count("Traceback (most recent call last):") == 2


def test_pictures_that_cannot_be_drawn_end_no_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "compare_folders", lambda *_, **__: {"transfer": {"rows": []}})
    drawn = fail(ValueError("no variance"))
    watch, shown = watched(jobs(tmp_path), tmp_path, compares=True, pictures=drawn)
    watch.close()
    assert "(ValueError: no variance)" in shown.getvalue()


@pytest.mark.parametrize(
    "content", ["[]", "null", "{", '{"metrics": []}', '{"metrics": {"accuracy": "x"}}', "[" * 10**5]
)
def test_a_report_of_another_form_counts_as_no_figures(content: str, tmp_path: Path) -> None:
    found = jobs(tmp_path)
    (found[1].folder / "report" / "report.json").write_text(content, encoding="utf-8")
    watch, shown = watched(found, tmp_path, compares=True)
    watch.ended(found[1])
    watch.close()
    assert "best so far job 0 (accuracy 0.7000)" in shown.getvalue()


def test_a_stop_that_is_asked_for_is_no_failure_of_the_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "compare_folders", fail(Interrupted(15)))
    watch, _ = watched(jobs(tmp_path), tmp_path, compares=True)
    with pytest.raises(Interrupted):
        watch.close()


def test_overrides_are_told_apart_as_jobs_are_added(tmp_path: Path) -> None:
    growing = jobs(tmp_path)[:1]
    watch, _ = watched(growing, tmp_path, compares=False)
    assert watch.own_overrides(growing[0]) == ["a=1", "b=[0]"]
    growing += jobs(tmp_path / "more")[1:3]
    assert [watch.own_overrides(job) for job in growing] == [["b=[0]"], ["b=[1]"], ["b=[2]"]]
