"""Jobs that fail in every way, and a sweep that is killed and resumed; what the jobs do is trivial."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from trivial_jobs import Quiet, alive, events, planned, start, swept, until, work

from crack_lightning.runtime.files.run_folder import OUTCOME
from crack_lightning.sweep.job_queue import JobQueue
from crack_lightning.sweep.jobs.worker import CONSOLE, ENDS_WITH_SWEEP, job_context
from crack_lightning.sweep.journal import DONE, FAILED, PLANNED, PRUNED, Job, Journal
from crack_lightning.sweep.scheduler import Scheduler


def test_failing_jobs_are_told_apart_and_the_others_go_on(tmp_path: Path) -> None:
    planned(tmp_path, *({"do": do} for do in ("", "raise", "kill", "allocate", "full disk", "")))
    jobs = swept(tmp_path, at_once=2)
    assert [job.state for job in jobs] == [DONE, FAILED, FAILED, FAILED, FAILED, DONE]
    assert jobs[1].reason == "ValueError: seven is too many"
    assert jobs[2].reason.startswith("ended by SIGKILL")
    assert "Unable to allocate 1.00 PiB" in jobs[3].reason
    assert "is the disk full?" in jobs[4].reason
    told = json.loads((jobs[1].folder / OUTCOME).read_text(encoding="utf-8"))
    assert 'raise ValueError("seven is too many")' in "".join(told["traceback"])
    told = json.loads((jobs[2].folder / OUTCOME).read_text(encoding="utf-8"))
    assert told == {"state": FAILED, "reason": jobs[2].reason}
    assert "seven is too many" in (jobs[1].folder / CONSOLE).read_text(encoding="utf-8")


def test_a_failed_job_is_tried_again_after_the_others(tmp_path: Path) -> None:
    planned(tmp_path, {"do": "once"}, {"do": ""}, {"do": "raise"})
    jobs = swept(tmp_path, retries=1)
    ends = [
        (event["job"], event["state"]) for event in events(tmp_path) if event.get("state") in (DONE, FAILED)
    ]
    assert ends == [(0, FAILED), (1, DONE), (2, FAILED), (0, DONE), (2, FAILED)]
    assert [job.attempts for job in jobs] == [2, 1, 2]


def test_too_many_failures_start_no_more(tmp_path: Path) -> None:
    planned(tmp_path, *({"do": do} for do in ("raise", "", "raise", "", "")))
    assert [job.state for job in swept(tmp_path, max_failures=2)] == [FAILED, DONE, FAILED, PLANNED, PLANNED]


def test_jobs_at_once_have_a_gpu_each(tmp_path: Path) -> None:
    jobs = planned(tmp_path, *({"do": "environment"} for _ in range(4)))
    swept(tmp_path, environments=[{"CUDA_VISIBLE_DEVICES": name} for name in "ab"])
    told = [(job.folder / "gpu").read_text(encoding="utf-8") for job in jobs]
    assert set(told) == {"a", "b"}


def test_jobs_of_a_batch_follow_one_another_in_a_process_until_one_fails(tmp_path: Path) -> None:
    work = [("", "a"), ("", "a"), ("raise", "a"), ("", "a"), ("kill", "a"), ("", "a"), ("", "b"), ("", "b")]
    jobs = planned(tmp_path, *({"do": do, "batch": batch} for do, batch in work), {"do": ""})
    states = [job.state for job in swept(tmp_path)]
    assert states == [DONE, DONE, FAILED, DONE, FAILED, DONE, DONE, DONE, DONE]
    pids = [(job.folder / "started").read_text(encoding="utf-8") for job in jobs]
    processes = [pids.index(pid) for pid in pids]
    assert processes == [0, 0, 0, 3, 3, 5, 6, 6, 8]
    output = [(job.folder / CONSOLE).read_text(encoding="utf-8").count("at work") for job in jobs]
    assert output == [1] * 9
    reasons = [job.reason for job in Journal(tmp_path).read()[1] if job.state == FAILED]
    assert reasons[0] == "ValueError: seven is too many"
    assert reasons[1].startswith("ended by SIGKILL")


def test_two_processes_share_the_jobs_of_a_batch_and_too_many_failures_end_both(tmp_path: Path) -> None:
    jobs = planned(tmp_path, *({"do": "wait", "seconds": 0.2, "batch": "a"} for _ in range(6)))
    assert {job.state for job in swept(tmp_path, at_once=2)} == {DONE}
    pids = [(job.folder / "started").read_text(encoding="utf-8") for job in jobs]
    assert len(set(pids)) == 2
    other = tmp_path / "other"
    other.mkdir()
    planned(other, *({"do": do, "batch": "a"} for do in ("", "raise", "", "")))
    assert [job.state for job in swept(other, max_failures=1)] == [DONE, FAILED, PLANNED, PLANNED]


def test_a_stopped_batch_goes_on_with_the_jobs_that_are_not_done(tmp_path: Path) -> None:
    jobs = planned(tmp_path, *({"do": do, "seconds": 600, "batch": "a"} for do in ("", "wait once", "")))
    process = start(tmp_path)
    until((jobs[1].folder / "started").exists)
    process.terminate()
    process.wait()
    assert [job.state for job in Journal(tmp_path).read()[1]] == [DONE, PLANNED, PLANNED]
    assert [(job.state, job.attempts) for job in swept(tmp_path)] == [(DONE, 1), (DONE, 2), (DONE, 1)]


def test_a_job_is_ended_while_it_runs_and_makes_room(tmp_path: Path) -> None:
    planned(tmp_path, *({"do": "learn", "loss": loss} for loss in (0.5, 2, 3, 0.1)))
    jobs = swept(tmp_path, prunes=True)
    assert [(job.state, job.reason) for job in jobs] == [
        (DONE, ""),
        (PRUNED, "after epoch 2"),
        (PRUNED, "after epoch 2"),
        (DONE, ""),
    ]
    assert swept(tmp_path, prunes=True) == jobs


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread ends the job, once Python runs")
def test_jobs_die_with_their_sweep_whatever_they_do(tmp_path: Path) -> None:
    jobs = planned(tmp_path, {"do": "hold"}, {"do": "wait", "seconds": 600})
    process = start(tmp_path, at_once=2)
    until(lambda: all((job.folder / "started").exists() for job in jobs))
    time.sleep(0.2)
    pids = [int((job.folder / "started").read_text(encoding="utf-8")) for job in jobs]
    assert all(map(alive, pids))
    process.kill()
    process.wait()
    until(lambda: not any(map(alive, pids)))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends when its imports are done")
def test_a_forkserver_that_still_imports_dies_with_its_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "forkserver"
    monkeypatch.setenv("FORKSERVER_PID", str(told))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    planned(tmp_path, {"do": ""})
    process = start(tmp_path, preload=["slow_to_import"])
    until(lambda: told.exists() and told.read_text(encoding="utf-8"))
    pid = int(told.read_text(encoding="utf-8"))
    assert alive(pid)
    process.kill()
    process.wait()
    until(lambda: not alive(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere jobs outlive a killed forkserver")
def test_a_job_whose_end_could_not_be_told_dies_with_the_forkserver(tmp_path: Path) -> None:
    job, _ = planned(tmp_path, {"do": "wait", "seconds": 600}, {"do": "wait", "seconds": 2})
    process = start(tmp_path)
    until((job.folder / "started").exists)
    pid = int((job.folder / "started").read_text(encoding="utf-8"))
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    [forkserver] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:")]
    assert forkserver != process.pid
    os.kill(forkserver, signal.SIGKILL)
    until(lambda: not alive(pid))
    assert process.poll() is None
    assert process.wait() == 0
    assert [job.state for job in Journal(tmp_path).read()[1]] == [FAILED, DONE]


def test_a_sweep_that_is_asked_to_stop_stops_its_jobs_and_can_go_on(tmp_path: Path) -> None:
    jobs = planned(tmp_path, {"do": ""}, {"do": "wait", "seconds": 600}, {"do": ""})
    process = start(tmp_path)
    until((jobs[1].folder / "started").exists)
    process.terminate()
    process.wait()
    states = [job.state for job in Journal(tmp_path).read()[1]]
    assert states == [DONE, PLANNED, PLANNED]


def test_a_job_that_ends_while_its_sweep_is_stopped_is_judged_all_the_same(tmp_path: Path) -> None:
    class Judging(JobQueue):
        def ended(self, job: Job) -> None:
            job.values = {"val/loss": 0.5}

    class Stopping(Quiet):
        def on_idle(self) -> None:
            until((tmp_path / "0" / OUTCOME).exists)
            raise KeyboardInterrupt

    source, context = Judging(planned(tmp_path, {"do": ""})), job_context()
    context.set_forkserver_preload([ENDS_WITH_SWEEP])
    with pytest.raises(KeyboardInterrupt):
        Scheduler(
            source,
            run=work,
            journal=Journal(tmp_path),
            watcher=Stopping(),
            environments=[{}],
            context=context,
        ).work()
    [job] = Journal(tmp_path).read()[1]
    assert (job.state, job.values) == (DONE, {"val/loss": 0.5})


@pytest.mark.slow
def test_a_sweep_killed_again_and_again_does_every_job_once(tmp_path: Path) -> None:
    planned(tmp_path, *({"do": "wait", "seconds": 0.3} for _ in range(8)))
    for number in (2, 4, 5):
        process = start(tmp_path, at_once=2)
        until(lambda number=number: len(list(tmp_path.glob(f"*/{OUTCOME}"))) >= number)
        process.kill()
        process.wait()
    assert start(tmp_path, at_once=2).wait() == 0
    assert [job.state for job in Journal(tmp_path).read()[1]] == [DONE] * 8
    done = [event["job"] for event in events(tmp_path) if event.get("state") == DONE]
    assert sorted(done) == list(range(8))
