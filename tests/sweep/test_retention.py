"""Which jobs keep their weights, and that a sweep which the disk has no room for is not begun."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from trivial_jobs import planned

from crack_lightning.cli.main import main
from crack_lightning.config.nodes.sweep import KEEPS
from crack_lightning.model.backbones import count_parameters
from crack_lightning.model.heads.registry import build_network
from crack_lightning.runtime.errors import CrackLightningError
from crack_lightning.sweep.journal import DONE, FAILED, PRUNED, Job
from crack_lightning.sweep.retention import (
    REPORT_BYTES,
    WeightRetention,
    check_disk_space,
    expected_bytes,
    weight_bytes,
)

if TYPE_CHECKING:
    from pathlib import Path

ACCURACY = (0.5, 0.9, 0.7, 0.9, 0.8, 0.6, 0.95, 0.4)


def done_jobs(folder: Path) -> list[Job]:
    """Jobs that are done, and then one that was pruned and one that failed."""
    jobs = planned(folder, *({} for _ in range(len(ACCURACY) + 2)))
    for job in jobs:
        (job.folder / "checkpoints").mkdir(parents=True)
        for name in ("best.ckpt", "last.ckpt"):
            (job.folder / "checkpoints" / name).touch()
    for job, accuracy in zip(jobs, ACCURACY, strict=False):
        job.state = DONE
        (job.folder / "checkpoints" / "last.ckpt").unlink()
        state = {"validation": {"val/accuracy": accuracy, "val/loss": 0.1 * job.number}}
        (job.folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    jobs[-2].state, jobs[-1].state = PRUNED, FAILED
    return jobs


def files(jobs: list[Job]) -> dict[int, list[str]]:
    found = {job.number: sorted(path.name for path in job.folder.rglob("*.ckpt")) for job in jobs}
    return {number: names for number, names in found.items() if names}


def test_by_default_all_jobs_keep_their_weights_and_a_pruned_one_has_nothing_to_go_on_from(
    tmp_path: Path,
) -> None:
    jobs = done_jobs(tmp_path)
    WeightRetention("all", jobs)
    assert files(jobs) == {number: ["best.ckpt"] for number in range(9)} | {9: ["best.ckpt", "last.ckpt"]}


@pytest.mark.parametrize("broken_off", [False, True])
def test_the_five_best_on_validation_keep_their_weights(tmp_path: Path, *, broken_off: bool) -> None:
    jobs = done_jobs(tmp_path)
    if broken_off:
        WeightRetention("best", jobs[:6])
    WeightRetention("best", jobs)
    kept = sorted(range(len(ACCURACY)), key=lambda number: -ACCURACY[number])[:5]
    assert files(jobs) == {number: ["best.ckpt"] for number in kept} | {9: ["best.ckpt", "last.ckpt"]}
    assert all((job.folder / "state.json").exists() for job in jobs[:8])


def test_the_best_of_a_search_are_by_its_first_objective(tmp_path: Path) -> None:
    jobs = done_jobs(tmp_path)[:8]
    for job, seconds in zip(jobs, (8, 7, 6, 5, 4, 3, 2, 1), strict=True):
        job.values = {"seconds": seconds, "val/accuracy": 0.5}
    WeightRetention("best", jobs)
    assert list(files(jobs)) == [3, 4, 5, 6, 7]


def test_none_keeps_only_what_a_failed_job_may_go_on_from(tmp_path: Path) -> None:
    jobs = done_jobs(tmp_path)
    WeightRetention("none", jobs)
    assert files(jobs) == {9: ["best.ckpt", "last.ckpt"]}


@pytest.mark.parametrize("keep", KEEPS)
def test_the_expected_size_is_of_reports_kept_weights_and_running_jobs(keep: str) -> None:
    weights = [10, 20, 30, 40, 50, 60, 70]
    kept = {"best": 30 + 40 + 50 + 60 + 70, "all": 280, "none": 0}[keep]
    expected = expected_bytes(weights, keep=keep, at_once=2)
    assert expected == 7 * REPORT_BYTES + kept + 2 * 5 * 70


def test_weights_are_reckoned_without_training_and_unknown_networks_are_left_to_their_jobs() -> None:
    models = [
        {"name": name, "head": "pooled", "image_size": 64} for name in ("plain_cnn", "nosuchnet", "plain_cnn")
    ]
    network = build_network(
        "plain_cnn",
        head="pooled",
        positive_index=1,
        settings={},
        num_classes=2,
        drop_rate=0.0,
        drop_path_rate=0.0,
        image_size=64,
    )
    size = 4 * count_parameters(network)
    assert weight_bytes([{"model": model} for model in models]) == [size, 0, size]


def test_a_disk_without_room_is_named_with_what_would_take_less(tmp_path: Path) -> None:
    check_disk_space(1000, tmp_path / "not" / "there yet", keep="all")
    with pytest.raises(CrackLightningError, match=r"need about 1000000000\.0 GB.* set sweep\.keep=best, "):
        check_disk_space(10**18, tmp_path, keep="all")


def test_a_sweep_that_the_disk_has_no_room_for_is_not_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crack_lightning.sweep.retention.REPORT_BYTES", 10**18)
    assert main(["train", "-m", "model=plain_cnn", "seed=0,1", f"outputs={tmp_path}"]) == 2
    assert "sweep: the jobs need about 2000000000." in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_audit_has_no_weights_to_keep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["audit", "-m", "data.seed=0,1", "sweep.keep=none", f"outputs={tmp_path}"]
    assert main(arguments) == 2
    assert "sweep.keep: audit makes no weights" in capsys.readouterr().err
