"""Features and test predictions by shards are those of one machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pyarrow import parquet

from crack_lightning.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cluster_nodes import Nodes

    Captured = pytest.CaptureFixture[str]
    ReadRows = Callable[[Path], list[dict[str, str]]]

ON_RAY = ("cluster=ray", "cluster.shard_size=16")


@pytest.fixture
def probe(tiny: list[str], tiny_weights: str) -> list[str]:
    smoke = {"trainer=smoke", "data.batch_size=8"}
    return [
        *(setting for setting in tiny if setting not in smoke),
        *("data.batch_size=8", "recipe=probe", f"model.weights={tiny_weights}", "recipe.engine=eager"),
        *("recipe.views=1", "augmentation=light"),
    ]


def test_a_probe_on_a_cluster_is_that_of_one_machine(
    nodes: Nodes, probe: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, more in (("one", ()), ("many", ON_RAY)):
        monkeypatch.setenv("CRACK_LIGHTNING_CACHE", str(tmp_path / f"cache {name}"))
        assert main(["train", *probe, *more, f"hydra.run.dir={tmp_path / name}"]) == 0
    assert len(nodes.sizes) > 4
    one, many = tmp_path / "one", tmp_path / "many"
    assert (many / "predictions.csv").read_bytes() == (one / "predictions.csv").read_bytes()
    metrics = [
        json.loads((folder / "report" / "report.json").read_text())["metrics"] for folder in (one, many)
    ]
    assert metrics[0] == metrics[1]
    assert not list((tmp_path / "cache many" / "shards").glob("*/part.parquet"))


def test_an_interrupted_feature_pass_computes_the_other_shards(
    nodes: Nodes, probe: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRACK_LIGHTNING_CACHE", str(tmp_path / "cache"))
    nodes.break_after = 3
    line = ["train", *probe, *ON_RAY, f"hydra.run.dir={tmp_path / 'run'}"]
    assert main(line) == 130
    first = len(nodes.sizes)
    nodes.break_after = 10**6
    assert main(["train", f"resume={tmp_path / 'run'}", *ON_RAY, "progress=false"]) == 0
    whole, again = -(-120 // 16), nodes.sizes[first:]
    assert first == 3
    assert len(again) >= whole - first


def test_an_evaluation_on_a_cluster_is_that_of_one_machine(
    nodes: Nodes, run: Path, tiny: list[str], tmp_path: Path, rows: ReadRows
) -> None:
    best = run / "checkpoints" / "best.ckpt"
    own = [setting for setting in tiny if setting.startswith(("data.", "trainer.threads="))]
    line = ["evaluate", f"checkpoint={best}", "data=synthetic", *own, "engine=eager", "progress=false"]
    assert main([*line, f"hydra.run.dir={tmp_path / 'one'}"]) == 0
    assert main([*line, *ON_RAY, f"hydra.run.dir={tmp_path / 'many'}"]) == 0
    assert len(nodes.sizes) > 1
    expected, found = (rows(tmp_path / name / "predictions.csv") for name in ("one", "many"))
    assert found == expected
    table = parquet.read_table(tmp_path / "many" / "predictions.parquet").to_pylist()
    assert [row["path"] for row in table] == [row["path"] for row in expected]
    probability = [np.float32(row["probability_crack"]) for row in expected]
    np.testing.assert_array_equal(
        np.array([row["probability_crack"] for row in table], np.float32), probability
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["cluster=ray"], "cluster: only features are computed by shards, and recipe=scratch has none"),
        (["cluster.retries=2"], "cluster.retries: cluster=none does not read it"),
    ],
)
def test_a_cluster_that_a_run_does_not_use_is_refused(
    settings: list[str], said: str, tmp_path: Path, capsys: Captured
) -> None:
    assert main(["train", *settings, f"outputs={tmp_path}"]) == 2
    assert said in capsys.readouterr().err
