"""Sweeps and their rows in TensorBoard."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from crack_lightning.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    ReadRows = Callable[[Path], list[dict[str, str]]]

_ACCURACY = "sweep.objectives=[val/accuracy]"


def test_the_hparams_tab_has_settings_and_final_metrics(run: Path) -> None:
    groups, metrics = session_groups(run.parent)
    [group] = groups
    assert group.hparams["model.label"].string_value == "mobilenetv3_small"
    assert {"final/accuracy", "final/recall_crack", "test/accuracy", "val/loss"} <= metrics
    values = {metric.name.tag: metric.value for metric in group.metric_values}
    report = json.loads((run / "report" / "report.json").read_text(encoding="utf-8"))
    assert values["final/accuracy"] == pytest.approx(report["metrics"]["accuracy"])


def session_groups(logdir: Path) -> tuple[list[Any], set[str]]:
    """Ask TensorBoard's own backend for the HPARAMS tab."""
    from tensorboard import context
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(logdir))
    tab = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    asked = context.RequestContext()
    experiment = get_experiment.Handler(asked, tab, "", api_pb2.GetExperimentRequest()).run()
    wanted = [api_pb2.ColParams(metric=info.name) for info in experiment.metric_infos]
    wanted += [api_pb2.ColParams(hparam=info.name) for info in experiment.hparam_infos]
    request = api_pb2.ListSessionGroupsRequest(
        allowed_statuses=[api_pb2.STATUS_SUCCESS], col_params=wanted, slice_size=100
    )
    listed = list_session_groups.Handler(asked, tab, "", request).run()
    return list(listed.session_groups), {info.name.tag for info in experiment.metric_infos}


@pytest.mark.slow
def test_a_sweep_outlives_a_failing_job_and_a_resumed_one_runs_that_alone(
    tmp_path: Path,
    tiny: list[str],
    capfd: pytest.CaptureFixture[str],
    rows: ReadRows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grid = ["plugins=[],[json],[nosuchplugin]", f"outputs={tmp_path}"]
    command = ["train", "-m", *grid, *tiny, "model=plain_cnn", "trainer.max_epochs=1"]
    assert main(command) == 3
    [sweep] = tmp_path.glob("multirun/*/*")
    done, also_done, failed = rows(sweep / "jobs.csv")
    sentence = "plugins: cannot import 'nosuchplugin'"
    assert (done["status"], also_done["status"]) == ("done", "done")
    assert failed["status"].startswith(f"failed: ConfigError: {sentence}")
    assert (sweep / "0" / "report" / "report.md").is_file()
    page = (sweep / "comparison.html").read_text(encoding="utf-8")
    assert "2 runs. Reference: run" in page
    assert "Without a result" in page
    assert sentence in (sweep / "2" / "console.log").read_text(encoding="utf-8")
    told = capfd.readouterr()
    assert sentence in told.out
    assert f"sweep.resume={sweep}" in told.err

    (tmp_path / "nosuchplugin.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    reports = [(sweep / str(job) / "report" / "report.json").stat().st_mtime_ns for job in (0, 1)]
    assert main([*command, "sweep.resume=latest", "optimizer.lr=0.25"]) == 2
    assert "of job 0 optimizer.lr was None and is 0.25" in capfd.readouterr().err
    assert main([*command, "sweep.resume=latest"]) == 0
    assert [job["status"] for job in rows(sweep / "jobs.csv")] == ["done"] * 3
    assert reports == [(sweep / str(job) / "report" / "report.json").stat().st_mtime_ns for job in (0, 1)]
    assert "3 runs. Reference: run" in (sweep / "comparison.html").read_text(encoding="utf-8")
    groups, _ = session_groups(sweep)
    plugins = sorted(group.hparams["plugins"].string_value for group in groups)
    assert plugins == ["['json']", "['nosuchplugin']", "[]"]
    assert all(group.metric_values for group in groups)


def test_a_sweep_with_a_wrong_job_starts_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", "data.batch_size=8,0", f"outputs={tmp_path}"]) == 2
    assert "data.batch_size: expected a number at least 1, got 0" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_trial_that_contradicts_itself_is_a_failed_job_of_its_search(
    tmp_path: Path, tiny: list[str], rows: ReadRows
) -> None:
    space = ["recipe.loss.name=cross_entropy,focal", "recipe.loss.label_smoothing=0,0.1"]
    more = ["model=plain_cnn", "trainer.max_epochs=1", "sweep.search=random", "sweep.trials=2"]
    assert main(["train", "-m", *space, *tiny, *more, f"outputs={tmp_path}"]) == 3
    [sweep] = tmp_path.glob("multirun/*/*")
    status = {row["overrides"].split()[-2:][0]: row["status"] for row in rows(sweep / "jobs.csv")}
    assert status["recipe.loss.name=cross_entropy"] == "done"
    assert "recipe.loss.label_smoothing: recipe.loss.name=focal does not" in status["recipe.loss.name=focal"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sweep.jobs=2"], "sweep.jobs: a run without -m does not read it"),
        (["-m", "sweep.jobs=1,2"], "sweep.jobs: one value for the whole sweep is expected, got '1,2'"),
        (["-m", "sweep.jobs=0"], "sweep.jobs: expected auto or a number at least 1, got '0'"),
        (["-m", "sweep.resume=latest", "seed=0,1"], "sweep.resume: there is no sweep in "),
        (["-m", "sweep.resume="], "sweep.resume: a text is expected, got none"),
        (["-m", "sweep.resume=no such folder"], "sweep.resume: there is no sweep in 'no such folder'"),
        (["hydra/launcher=slurm"], "hydra/launcher: a run without -m does not read it, got slurm"),
        (
            ["-m", "hydra/launcher=ray_cluster", "seed=0,1", "sweep.jobs=auto"],
            "sweep.jobs: auto counts",
        ),
        (
            ["-m", "hydra/launcher=ray_cluster", "hparams_search=tpe", "sweep.pruner=asha"],
            "sweep.pruner: asha needs metrics of running jobs, and hydra/launcher=ray_cluster returns only",
        ),
        (
            ["-m", "seed=0,1", "sweep.trials=3"],
            "sweep.trials: a grid does not read it; leave it out.\nFor a search add hparams_search=tpe",
        ),
        (
            ["-m", "hparams_search=tpe", "sweep.prune_after=0.2"],
            "sweep.prune_after: sweep.pruner=none does not",
        ),
        (
            [
                *("-m", "sweep.search=random", "recipe=scratch,probe", "model.weights=imagenet"),
                *("sweep.pruner=asha", _ACCURACY),
            ],
            "sweep.pruner: asha needs metrics of each epoch, and recipe=probe has none",
        ),
        (
            ["-m", "sweep.search=random", "data.batch_size=tag(int, interval(0, 8))"],
            "data.batch_size: expected a number at least 1, got 0",
        ),
        (["-m", "seed=0,1", "sweep.only_if=3"], "sweep.only_if: expected {key: other=value, …}, got 3"),
        (
            ["-m", "model=mobilenetv2,resnet18", 'sweep.only_if={model.drop_rate: "model=resnet18"}'],
            "sweep.only_if: 'model.drop_rate' is not varied; expected one of model",
        ),
        (["-m", "seed=0,1", "resume=a"], "resume: one run at a time goes on, got 'a' in a sweep"),
    ],
)
def test_what_a_sweep_cannot_do_is_refused(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *arguments, f"outputs={tmp_path}"]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_only_the_command_that_began_a_sweep_goes_on_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sweep.jsonl").write_text('{"asked": {"command": "audit"}}\n', encoding="utf-8")
    assert main(["train", "-m", "seed=0,1", f"sweep.resume={tmp_path}"]) == 2
    assert "is a sweep of audit, got train" in capsys.readouterr().err
