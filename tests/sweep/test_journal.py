"""A sweep's journal survives what a killed writer leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crack_lightning.runtime.errors import ConfigError, CrackLightningError
from crack_lightning.sweep.journal import DONE, FAILED, PLANNED, RUNNING, Job, Journal

if TYPE_CHECKING:
    from pathlib import Path


def begun(folder: Path, number: int = 3) -> tuple[Journal, list[Job]]:
    journal = Journal(folder)
    journal.begin(command="train")
    jobs = [
        Job(number=each, folder=folder / str(each), overrides=[f"seed={each}"], config={"seed": each})
        for each in range(number)
    ]
    for job in jobs:
        journal.plan(job)
    return journal, jobs


def test_jobs_come_back_as_they_were_left(tmp_path: Path) -> None:
    journal, jobs = begun(tmp_path)
    for state, reason in ((RUNNING, ""), (FAILED, "ValueError: 7"), (RUNNING, "")):
        jobs[1].state, jobs[1].reason = state, reason
        journal.note(jobs[1])
    jobs[2].state, jobs[2].attempts = DONE, 2
    journal.note(jobs[2])
    asked, again = journal.read()
    assert asked == {"command": "train"}
    assert again == jobs
    assert [job.state for job in again] == [PLANNED, RUNNING, DONE]


@pytest.mark.parametrize("lost", [1, 20])
def test_a_half_written_line_is_cut_off_and_written_over(tmp_path: Path, lost: int) -> None:
    journal, jobs = begun(tmp_path)
    whole = journal.path.read_bytes()
    jobs[0].state = DONE
    journal.note(jobs[0])
    journal.path.write_bytes(journal.path.read_bytes()[:-lost])
    assert [job.state for job in journal.read()[1]] == [PLANNED] * 3
    assert journal.path.read_bytes() == whole
    journal.note(jobs[0])
    assert journal.read()[1][0].state == DONE


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is damaged"),
        (
            '{"asked": {"command": "train"}}\n{"job": 1, "overrides": [], "config": {}}\n',
            "job 1 after 0 jobs",
        ),
        ('{"asked": {"command": "train"}}\n{"job": 4, "state": "done", "attempts": 1}\n', "is damaged"),
        ("nonsense\n", "is damaged"),
    ],
)
def test_what_is_no_journal_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "sweep.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        Journal(tmp_path).read()


def test_a_journal_that_cannot_be_written_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "sweep.jsonl").mkdir()
    with pytest.raises(CrackLightningError, match=r"cannot write .* go on with sweep\.resume="):
        Journal(tmp_path).begin(command="train")
