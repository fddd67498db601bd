"""Searches: what they propose, what they refuse, and that a broken one is the unbroken one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from crack_lightning.config.nodes.sweep import SweepConfig
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.sweep.journal import DONE, FAILED, PRUNED, Job, Journal
from crack_lightning.sweep.search.search import Search, check_search
from crack_lightning.sweep.search.space import Dimension, corner_trials, search_space

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def space(*overrides: str, **only_if: str) -> list[Dimension]:
    conditions = {key.replace("__", "."): value for key, value in only_if.items()}
    return search_space(OverridesParser.create().parse_overrides(list(overrides)), conditions)


SPACE = ("optimizer.lr=tag(log, interval(1e-4, 1e-1))", "model.drop_rate=interval(0, 0.4)")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("a=interval(0, 2)", {"low": 0.0, "high": 2.0, "step": None}),
        ("a=tag(log, interval(1e-3, 1))", {"low": 1e-3, "high": 1.0, "log": True}),
        ("a=tag(int, interval(1, 9))", {"low": 1.0, "high": 9.0, "whole": True}),
        ("a=range(2, 9, 3)", {"low": 2.0, "high": 8.0, "step": 3.0, "whole": True}),
        ("a=range(0.5, 2, 0.5)", {"low": 0.5, "high": 1.5, "step": 0.5, "whole": False}),
        ("a=choice(x, y)", {"choices": ("x", "y")}),
        ("a=1,[2,3]", {"choices": ("1", "[2,3]")}),
    ],
)
def test_hydras_grammar_describes_a_space(override: str, expected: dict[str, Any]) -> None:
    [dimension] = space(override)
    assert {name: getattr(dimension, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("a=tag(log, interval(0, 1))", "a: expected numbers above 0, the lower first"),
        ("a=interval(3, 1)", r"a: expected numbers, the lower first, got interval\(3, 1\)"),
        ("a=range(5, 2)", r"a: expected numbers, the lower first, got range\(5, 2\)"),
        ("a=tag(lag, interval(1, 2))", "a: no tag 'lag'; expected log or int"),
        ("a=tag(log, choice(1, 2))", r"a: tag\(log, …\) is for interval and range"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        space(override)


@pytest.mark.parametrize(
    ("only_if", "said"),
    [
        ({"model__drop_rat": "model=a"}, r"'model.drop_rat' is not varied; did you mean model\.drop_rate"),
        ({"model__drop_rate": "net=a"}, r"only_if\.model\.drop_rate: expected key=value with one of model, "),
        ({"model__drop_rate": "model"}, "which are varied without a condition, got 'model'"),
    ],
)
def test_a_condition_names_another_dimension(only_if: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        space("model=a,b", "model.drop_rate=interval(0, 1)", **only_if)


def test_examples_have_every_choice_and_both_ends_of_every_range() -> None:
    dimensions = space("a=x,y", "b=interval(0, 0.5)", "c=range(8, 33, 8)", "d=u,v", d="a=y")
    found = corner_trials(dimensions)
    told = {key: [trial[key] for trial in found if key in trial] for key in "abcd"}
    assert {key: set(values) for key, values in told.items()} == {
        "a": {"x", "y"},
        "b": {0, 0.5},
        "c": {8, 32},
        "d": {"u", "v"},
    }
    assert all(isinstance(value, int) for value in told["c"])
    assert all(("d" in trial) == (trial["a"] == "y") for trial in found)


@pytest.mark.parametrize(
    ("settings", "overrides", "said"),
    [
        ({"search": "tpe"}, (), r"sweep\.space: a search needs something to vary"),
        (
            {"search": "cmaes"},
            ("model=a,b", *SPACE),
            "model has choices or a .*tpe or random",
        ),
        (
            {"search": "tpe", "pruner": "asha", "objectives": ["val/loss", "seconds"]},
            SPACE,
            r"sweep\.pruner: asha needs one objective, got val/loss, seconds; use sweep\.pruner=none",
        ),
        (
            {"search": "tpe", "pruner": "median", "objectives": ["seconds"]},
            SPACE,
            "median needs metrics of each epoch, got the objective seconds",
        ),
        (
            {"search": "tpe", "pruner": "median"},
            ("recipe.loss.label_smoothing=interval(0, 0.1)",),
            r"recipe\.loss\.label_smoothing changes what the validation loss is",
        ),
    ],
)
def test_what_optuna_cannot_do_is_refused_with_the_choices(
    settings: dict[str, Any], overrides: Sequence[str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        check_search(SweepConfig(**settings), space(*overrides))


def searching(folder: Path, dimensions: list[Dimension], **settings: Any) -> Search:
    """Begin a search in a folder, or go on with the one there."""
    journal = Journal(folder)
    if not journal.path.exists():
        folder.mkdir(exist_ok=True)
        journal.begin(command="train")
    jobs = journal.read()[1]

    def plan(params: dict[str, Any]) -> Job:
        number = len(jobs)
        job = Job(number=number, folder=folder / str(number), overrides=[], config={}, params=params)
        journal.plan(job)
        return job

    config = SweepConfig(**{"search": "tpe", "trials": 16, **settings})
    return Search(config, dimensions, seed=3, at_once=1, jobs=jobs, journal=journal, plan=plan)


def finish(search: Search, job: Job) -> None:
    """Let a job be done with a figure that its settings decide."""
    loss = abs(float(job.params.get("optimizer.lr", 0.1)) - 0.01) + float(
        job.params.get("model.drop_rate", 0)
    )
    job.folder.mkdir(exist_ok=True)
    state = {"validation": {"val/loss": loss, "val/accuracy": 1 - loss}, "seconds": {"training": 2.0}}
    (job.folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    job.state, job.attempts = DONE, 1
    search.ended(job)
    search.journal.note(job)


def run_to_end(search: Search, *, stop_after: int = 100) -> None:
    while stop_after and (job := search.next()) is not None:
        finish(search, job)
        stop_after -= 1


@pytest.mark.parametrize("kind", ["random", "tpe", "cmaes"])
def test_a_search_broken_off_anywhere_proposes_what_the_unbroken_one_does(kind: str, tmp_path: Path) -> None:
    run_to_end(whole := searching(tmp_path / "whole", space(*SPACE), search=kind))
    run_to_end(searching(tmp_path / "parts", space(*SPACE), search=kind), stop_after=5)
    assert searching(tmp_path / "parts", space(*SPACE), search=kind).next() is not None  # and killed here
    run_to_end(searching(tmp_path / "parts", space(*SPACE), search=kind), stop_after=7)
    run_to_end(parts := searching(tmp_path / "parts", space(*SPACE), search=kind))
    assert len(whole.jobs) == 16
    assert [job.params for job in whole.jobs] == [job.params for job in parts.jobs]
    assert len({job.params["optimizer.lr"] for job in whole.jobs}) == 16


def test_a_condition_leaves_a_key_out_of_other_trials(tmp_path: Path) -> None:
    dimensions = space("model.drop_rate=interval(0, 1)", "model=a,b", model__drop_rate="model=b")
    run_to_end(search := searching(tmp_path, dimensions))
    assert {job.params["model"] for job in search.jobs} == {"a", "b"}
    assert all(("model.drop_rate" in job.params) == (job.params["model"] == "b") for job in search.jobs)


def test_several_objectives_leave_what_no_trial_beats(tmp_path: Path) -> None:
    run_to_end(search := searching(tmp_path, space(*SPACE), objectives=["val/accuracy", "seconds"]))
    best = max(search.jobs, key=lambda job: job.values["val/accuracy"])
    assert [trial.number for trial in search.study.best_trials] == [best.number]


def test_of_a_failed_job_nothing_is_learnt(tmp_path: Path) -> None:
    search = searching(tmp_path, space(*SPACE))
    job = search.next()
    assert job is not None
    job.state = FAILED
    search.ended(job)
    assert search.study.get_trials()[0].values is None


@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband"])
def test_poor_trials_are_ended_early_also_after_a_break(pruner: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"pruner": pruner, "prune_after": 0.11, "trials": 40}
    settings["objectives"] = ["val/accuracy"]

    def run(search: Search, number: int) -> list[int]:
        epochs = []
        for _ in range(number):
            job = search.next()
            assert job is not None
            level = 1 - job.params["model.drop_rate"]
            for epoch in range(1, 10):
                if search.report(job, epoch / 9, {"val/accuracy": level * epoch / 9, "val/loss": 0.0}):
                    job.state = PRUNED
                    search.ended(job)
                    search.journal.note(job)
                    break
            else:
                finish(search, job)
            epochs.append(epoch)
        return epochs

    whole = run(searching(tmp_path / "whole", space(*SPACE), **settings), 30)
    parts = run(searching(tmp_path / "parts", space(*SPACE), **settings), 11)
    parts += run(searching(tmp_path / "parts", space(*SPACE), **settings), 19)
    assert whole == parts
    assert 9 in whole
    assert sum(whole) < 0.8 * 30 * 9
