"""A prediction by shards gives the rows and images of one machine, and is resumed after an interruption."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from crack_lightning.cli.main import main
from crack_lightning.model.weights.checkpoints import save_model
from crack_lightning.runtime.cluster import ray_tasks, shard_cache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crack_lightning.model.classifier import CrackClassifier
    from tests.cluster_nodes import Nodes

    Captured = pytest.CaptureFixture[str]
    Predict = Callable[..., int]
    ReadRows = Callable[[Path], list[dict[str, str]]]

ON_RAY = ("cluster=ray", "cluster.shard_size=3", "batch_size=2")


@pytest.fixture
def predicted(tmp_path: Path) -> Callable[..., int]:
    """Run ``predict`` into ``tmp_path / folder``; return its exit code."""

    def run(*arguments: str, folder: str = "run") -> int:
        own = ("progress=false", "trainer.threads=1", "trainer.accelerator=cpu")
        return main(["predict", *arguments, *own, f"hydra.run.dir={tmp_path / folder}"])

    return run


@pytest.fixture
def checkpoint(build_classifier: Callable[..., CrackClassifier], tmp_path: Path) -> str:
    path = tmp_path / "model.ckpt"
    classifier = build_classifier(
        name="resnet18", head="local", image_size=64, temperature=1.0, threshold=0.5
    )
    save_model(classifier.eval(), path)
    return str(path)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        pixels = rng.integers(0, 255, (70 + 8 * number, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"p{number}.png")
    (folder / "a, broken.jpg").write_bytes(b"<html>")
    os.rename(folder / "p7.png", os.fsencode(folder) + b"/Br\xfccke.png")  # noqa: PTH104  # no UTF-8
    return folder


def cells_of(folder: Path, name: str) -> list[dict[str, str]]:
    """Return the rows of Parquet parts as cells of a CSV file, by path."""
    rows = [
        row
        for part in sorted(folder.glob(f"{name}/*.parquet"))
        for row in parquet.read_table(part, partitioning=None).to_pylist()
    ]
    return [{column: _cell(value) for column, value in row.items()} for row in rows]


def _cell(value: object) -> str:
    if isinstance(value, float):
        short = str(np.float32(value))
        return short if len(short) < len(str(value)) else str(value)
    return {True: "yes", False: "no", None: ""}[value] if value in (True, False, None) else str(value)


@pytest.mark.parametrize("images", [False, True])
def test_shards_give_the_rows_and_images_of_one_machine(  # noqa: PLR0917  # fixtures
    nodes: Nodes,
    predicted: Predict,
    checkpoint: str,
    site: Path,
    tmp_path: Path,
    rows: ReadRows,
    *,
    images: bool,
) -> None:
    given = [checkpoint, str(site), f"map={str(images).lower()}", f"annotate={str(images).lower()}"]
    assert predicted(*given, "batch_size=2", folder="one") == 0
    assert predicted(*given, *ON_RAY, folder="many") == 0
    assert sorted(nodes.sizes, reverse=True) == ([3, 3, 3] if images else [4, 4, 1])
    one, many = tmp_path / "one", tmp_path / "many"
    expected = sorted(rows(one / "predictions.csv"), key=lambda row: row["path"])
    found = sorted(cells_of(many, "predictions"), key=lambda row: row["path"])
    assert found == expected
    made = {path.relative_to(one) for pattern in ("*.png", "*.jpg") for path in one.rglob(pattern)}
    assert bool(made) == images
    for path in made:
        assert (many / path).read_bytes() == (one / path).read_bytes()
    if images:
        assert len(cells_of(many, "tiles")) == len(rows(one / "tiles.csv"))


def test_an_interrupted_prediction_computes_the_other_shards(  # noqa: PLR0917  # fixtures
    nodes: Nodes, predicted: Predict, checkpoint: str, site: Path, tmp_path: Path, capsys: Captured
) -> None:
    folder = tmp_path / "run"
    nodes.break_after = 2
    assert predicted(checkpoint, str(site), "map=true", *ON_RAY) == 130
    assert f"resume={folder}" in capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("part-*")}
    assert len(before) == 4
    (folder / "tiles" / "part-00000077.parquet").write_bytes(b"of a shard that was not finished")
    nodes.break_after, nodes.sizes = 10**6, []
    assert main(["predict", f"resume={folder}"]) == 2
    assert "was begun with cluster=ray, got none; add cluster=ray" in capsys.readouterr().err
    again = ["predict", f"resume={folder}", "cluster=ray", "cluster.shard_size=2", "progress=false"]
    assert main(again) == 0
    assert nodes.sizes == [1, 2]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    paths = [row["path"] for row in cells_of(folder, "predictions")]
    assert len(paths) == len(set(paths)) == 9
    assert main(again) == 0
    assert nodes.sizes == [1, 2]
    sorted(folder.glob("predictions/*"))[1].write_bytes(b"PAR1")
    assert main(again) == 2
    assert "part-00000001.parquet' is damaged" in capsys.readouterr().err


def test_a_node_without_the_files_is_named(  # noqa: PLR0917  # fixtures
    nodes: Nodes,
    predicted: Predict,
    checkpoint: str,
    site: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    monkeypatch.chdir(site)
    nodes.working_dir = tmp_path
    assert predicted(checkpoint, "p0.png", "p1.png", *ON_RAY) == 2
    assert "source: the node 10.0.0.2 of the cluster has no file 'p0.png'" in capsys.readouterr().err


@pytest.mark.parametrize(("module", "missing"), [(ray_tasks, "Ray"), (shard_cache, "pyarrow")])
def test_what_a_cluster_needs_and_is_not_installed_is_named(  # noqa: PLR0917  # fixtures
    module: Any,
    missing: str,
    predicted: Predict,
    checkpoint: str,
    site: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert predicted(checkpoint, str(site), *ON_RAY) == 2
    error = capsys.readouterr().err
    assert f"{missing}, which is not installed; run pip install 'crack-lightning[ray]'" in error


def test_settings_that_only_a_cluster_reads_are_refused_without_one(
    predicted: Predict, tmp_path: Path, capsys: Captured
) -> None:
    assert predicted("checkpoint=builtin", f"source={tmp_path}", "cluster.shard_size=3") == 2
    assert "cluster.shard_size: cluster=none does not read it" in capsys.readouterr().err
