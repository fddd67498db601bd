"""Sweeps and their rows in TensorBoard."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from crack_lightning.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    ReadRows = Callable[[Path], list[dict[str, str]]]


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
def test_a_sweep_gives_each_job_its_folder_report_and_row(
    tmp_path: Path, tiny: list[str], capfd: pytest.CaptureFixture[str], rows: ReadRows
) -> None:
    others = [argument for argument in tiny if not argument.startswith("model=")]
    grid = ["model=mobilenetv3_small,plain_cnn", "plugins=[],[nosuchplugin]"]
    assert main(["train", "-m", *grid, *others, "trainer.max_epochs=1", f"outputs={tmp_path}"]) == 3
    [sweep] = tmp_path.glob("multirun/*/*")
    jobs = rows(sweep / "jobs.csv")
    assert [job["status"] == "done" for job in jobs] == [True, False, True, False]
    for job in ("0", "2"):
        assert (sweep / job / "report" / "report.md").is_file()
    assert "2 runs; the best is" in (sweep / "comparison.html").read_text(encoding="utf-8")
    sentence = "plugins: cannot import 'nosuchplugin'"
    assert sentence in (sweep / "1" / "console.log").read_text(encoding="utf-8")
    assert sentence in capfd.readouterr().out
    groups, _ = session_groups(sweep)
    assert {group.hparams["model.name"].string_value for group in groups} == {
        "mobilenetv3_small_100",
        "plain_cnn",
    }
    assert all(group.metric_values for group in groups)


def test_a_sweep_with_a_wrong_job_starts_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", "data.batch_size=8,0", f"outputs={tmp_path}"]) == 2
    assert "data.batch_size: expected a number at least 1, got 0" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
