"""A sweep's journal of a stranger brings no override, and nothing is written outside of the sweep."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from crack_lightning.cli.main import main
from crack_lightning.runtime.errors import ConfigError, DataError
from crack_lightning.sweep.journal import DONE, Job, Journal
from crack_lightning.sweep.retention import WeightRetention
from crack_lightning.sweep.search.space import Dimension, require_in_space

if TYPE_CHECKING:
    from pathlib import Path

SEARCH = ["-m", "sweep.search=random", "sweep.trials=2", "optimizer.lr=tag(log, interval(1e-4, 1e-1))"]
SEARCH += ["model=plain_cnn,resnet18"]
LR = Dimension(key="optimizer.lr", low=1e-4, high=0.1, log=True)
MODEL = Dimension(key="model", choices=("plain_cnn", "resnet18"))
FAIR = {"optimizer.lr": 0.01, "model": "plain_cnn"}


def write(folder: Path, *events: Any, **asked: Any) -> None:
    settings = {"search": "random", "objectives": ["val/loss"], "pruner": "none", "prune_after": 0.4}
    space = {item.key: vars(item) for item in (LR, MODEL)}
    begun = {"command": "train", "sweep": settings, "space": space, "threads": 1} | asked
    lines = [json.dumps(event) for event in ({"asked": begun}, *events)]
    (folder / "sweep.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


HOSTILE = {
    "a plugin": FAIR | {"plugins": "[evil]"},
    "a callback": FAIR | {"+callbacks.x._target_": "evil.Mine"},
    "another folder": FAIR | {"outputs": "/"},
    "a folder of hydra's": FAIR | {"hydra.run.dir": "/"},
    "a choice outside": FAIR | {"model": "local-dir:/x"},
    "two choices": FAIR | {"model": "plain_cnn,resnet18"},
    "an override in a value": FAIR | {"model": "plain_cnn plugins=[evil]"},
    "a line in a value": FAIR | {"model": "plain_cnn\nplugins=[evil]"},
    "a text for a number": FAIR | {"optimizer.lr": "0.01"},
    "a truth value": FAIR | {"optimizer.lr": True},
    "too much": FAIR | {"optimizer.lr": 0.2},
    "no number": FAIR | {"optimizer.lr": float("nan")},
    "a list": FAIR | {"optimizer.lr": [0.01]},
    "a key too few": {"model": "plain_cnn"},
    "none": {},
}


@pytest.mark.parametrize("params", HOSTILE.values(), ids=HOSTILE)
def test_parameters_outside_the_space_are_refused(params: dict[str, Any]) -> None:
    require_in_space(FAIR, [LR, MODEL], job=0)
    with pytest.raises(ConfigError, match=r"sweep\.resume: of job 0 "):
        require_in_space(params, [LR, MODEL], job=0)


@pytest.mark.parametrize("name", ["a plugin", "an override in a value"])
def test_a_hostile_journal_runs_nothing(
    name: str, stranger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(stranger, {"job": 0, "overrides": ["plugins=[evil]"], "config": {}, "params": HOSTILE[name]})
    assert main(["train", *SEARCH, f"sweep.resume={stranger}"]) == 2
    assert "sweep.resume: of job 0 " in capsys.readouterr().err
    assert not (tmp_path / "it ran").exists()
    assert sorted(path.name for path in stranger.iterdir()) == [".lock", "evil.py", "sweep.jsonl"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"trainer": {"threads": 1}, "plugins": ["evil"]},
            "keeps its settings, and of job 0 ",
        ),
        ({"trainer": {"threads": "many"}}, "trainer.threads: expected a whole number from 0, got 'many'"),
        ({"trainer": [1]}, "trainer: expected dict, got [1]"),
        ({}, "trainer: expected dict, got None"),
    ],
)
def test_a_grid_runs_what_the_command_line_makes_and_not_what_a_journal_says(
    config: dict[str, Any],
    said: str,
    stranger: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    events = [{"job": number, "overrides": ["plugins=[evil]"], "config": config} for number in (0, 1)]
    lines = [json.dumps(event) for event in ({"asked": {"command": "train"}}, *events)]
    (stranger / "sweep.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert main(["train", "-m", "seed=0,1", f"sweep.resume={stranger}"]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "it ran").exists()


def test_a_link_in_a_sweep_is_refused_before_anything_is_removed(
    stranger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine" / "checkpoints" / "best.ckpt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine", encoding="utf-8")
    (stranger / "0").symlink_to(tmp_path / "mine")
    done = {"job": 0, "state": "done", "attempts": 1}
    write(stranger, {"job": 0, "overrides": [], "config": {}, "params": FAIR}, done)
    assert main(["train", *SEARCH, "sweep.keep=none", f"sweep.resume={stranger}"]) == 2
    assert "sweep.resume: expected plain files and folders" in capsys.readouterr().err
    assert mine.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    "event",
    [
        [],
        7,
        {"job": True, "overrides": [], "config": {}},
        {"job": -1, "state": "done", "attempts": 1},
        {"job": 0, "overrides": "seed=1", "config": {}},
        {"job": 0, "overrides": [], "config": []},
        {"job": 0, "overrides": ["\ud800"], "config": {}},
        {"job": 0, "state": "exploded", "attempts": 1},
        {"job": 0, "state": "done", "attempts": 1, "values": {"val/loss": "low"}},
        {"job": 0, "state": "done", "attempts": 1, "values": {"val/loss": float("inf")}},
        {"job": 0, "done": "half", "value": 1.0},
        {"job": 9, "state": "done", "attempts": 1},
    ],
)
def test_an_event_that_no_sweep_writes_is_one_sentence(event: Any, stranger: Path) -> None:
    planned = [{"job": 0, "overrides": [], "config": {}}] if "state" in str(event) else []
    write(stranger, *planned, event)
    with pytest.raises(ConfigError, match=r"sweep\.resume: .*sweep\.jsonl' is damaged"):
        Journal(stranger).read()


def test_whole_numbers_steps_and_conditions_are_held_to_as_well() -> None:
    tiles = Dimension(key="data.batch_size", low=8, high=32, step=8, whole=True)
    rate = Dimension(key="model.drop_rate", low=0, high=0.4, only_if=("data.batch_size", ("8", "16")))
    require_in_space({"data.batch_size": 16, "model.drop_rate": 0.25}, [tiles, rate], job=0)
    require_in_space({"data.batch_size": 24}, [tiles, rate], job=0)
    for wrong in ({"data.batch_size": 20}, {"data.batch_size": 8.0, "model.drop_rate": 0.1}):
        with pytest.raises(ConfigError, match=r"of job 0 data\.batch_size is expected from the space"):
            require_in_space(wrong, [tiles, rate], job=0)
    with pytest.raises(ConfigError, match=r"of job 3 model\.drop_rate .* \(no such key\), got 0\.1"):
        require_in_space({"data.batch_size": 24, "model.drop_rate": 0.1}, [tiles, rate], job=3)


@pytest.mark.parametrize("content", ["[]", "{}", '{"validation": {"val/accuracy": "x"}}', "{", '"\\ud800"'])
def test_what_a_job_left_may_be_damaged(content: str, tmp_path: Path) -> None:
    job = Job(number=0, folder=tmp_path, overrides=[], config={}, state=DONE)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "report").mkdir()
    for path in (tmp_path / "state.json", tmp_path / "report" / "report.json"):
        path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"state\.json' is damaged"):
        WeightRetention("none", [job])
    with pytest.raises(DataError, match=r"report\.json' is damaged"):
        job.metrics()
    assert (tmp_path / "checkpoints").is_dir()
