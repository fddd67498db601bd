"""``shards`` from end to end: written, trained on, evaluated and predicted as the files they were made of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from crack_lightning.cli.main import main
from crack_lightning.data.shards import writing
from crack_lightning.data.shards.reading import read_shards
from crack_lightning.model.weights.checkpoints import read_checkpoint
from crack_lightning.runtime.files.run_folder import lock_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DRAWN = ["data=synthetic", "data.synthetic.num_tiles=120", "data.synthetic.tile_px=64"]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shards of the tiles that ``tiny`` trains on."""
    folder = tmp_path_factory.mktemp("data") / "a (1)" / "shards"
    assert main(["shards", *DRAWN, "tiles_per_shard=25", f"hydra.run.dir={folder}", "progress=false"]) == 0
    assert len([*folder.rglob("*.tar")]) == 6
    return folder


def train_on_shards(shards: Path, settings: list[str], outputs: Path, *more: str) -> Path:
    given = [one for one in settings if not one.startswith("data.synthetic")]
    assert (
        main(["train", *given, "data=shards", f"data.root={shards}", f"hydra.run.dir={outputs}", *more]) == 0
    )
    return outputs


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = read_checkpoint(run / "checkpoints" / "best.ckpt")["state_dict"]
    return state


# in the slow session, as coverage ends forked readers with exit code 1
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_training_from_shards_gives_the_weights_and_figures_of_the_files(
    *,
    workers: int,
    run: Path,
    shards: Path,
    tiny: list[str],
    tmp_path: Path,
    rows: Callable[[Path], list[dict[str, str]]],
) -> None:
    folder = train_on_shards(shards, tiny, tmp_path / "run", f"data.num_workers={workers}")
    expected, found = weights(run), weights(folder)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    for before, after in zip(rows(run / "predictions.csv"), rows(folder / "predictions.csv"), strict=True):
        assert after.pop("path").endswith(f"/{before.pop('path')}")
        assert after == before
    reports = [json.loads((one / "report" / "report.json").read_text("utf-8")) for one in (run, folder)]
    assert reports[0]["metrics"] == reports[1]["metrics"]


def test_a_probe_reads_shards(shards: Path, tiny: list[str], tiny_weights: str, tmp_path: Path) -> None:
    outputs, probe = tmp_path / "files", ["recipe=probe", f"model.weights={tiny_weights}"]
    settings = [one for one in tiny if one != "trainer=smoke"]
    assert main(["train", *settings, *probe, f"hydra.run.dir={outputs}"]) == 0
    folder = train_on_shards(shards, settings, tmp_path / "shards", *probe)
    expected, found = weights(outputs), weights(folder)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_shards_are_evaluated_predicted_and_audited(
    run: Path,
    shards: Path,
    tmp_path: Path,
    rows: Callable[[Path], list[dict[str, str]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkpoint, table = run / "checkpoints" / "best.ckpt", read_shards(shards)
    own = [f"checkpoint={checkpoint}", "data=shards", f"data.root={shards}", "progress=false"]
    assert main(["evaluate", *own, f"hydra.run.dir={tmp_path / 'evaluated'}"]) == 0
    tested = {row["path"]: row for row in rows(tmp_path / "evaluated" / "predictions.csv")}
    assert set(tested) == set(table.path[table.split == "test"])
    assert (
        main(
            [
                "predict",
                str(checkpoint),
                str(shards),
                f"hydra.run.dir={tmp_path / 'predicted'}",
                "progress=false",
            ]
        )
        == 0
    )
    predicted = rows(tmp_path / "predicted" / "predictions.csv")
    assert [row["path"] for row in predicted] == [str(shards / path) for path in table.path.tolist()]
    assert (
        main(
            [
                "audit",
                "data=shards",
                f"data.root={shards}",
                f"hydra.run.dir={tmp_path / 'audit'}",
                "progress=false",
            ]
        )
        == 0
    )
    audited = rows(tmp_path / "audit" / "audit.csv")
    assert [row["sha256"] for row in audited] == table.sha256.tolist()


def test_an_interrupted_command_is_resumed_with_its_settings(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, write = tmp_path / "shards", writing._write_shard

    def stop(*arguments: object) -> None:
        if (folder / "train" / "00000.index").exists():
            raise KeyboardInterrupt
        write(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(writing, "_write_shard", stop)
        command = ["shards", *DRAWN, "tiles_per_shard=25", f"hydra.run.dir={folder}", "progress=false"]
        assert main(command) == 130
    assert main(["train", "data=shards", f"data.root={folder}"]) == 2
    assert "are not complete; finish them with crack-lightning shards resume=" in capsys.readouterr().err
    assert main(["shards", f"resume={folder}", "tiles_per_shard=9"]) == 2
    assert "tiles_per_shard: a resumed run keeps its settings" in capsys.readouterr().err
    with lock_folder(folder):
        assert main(["shards", f"resume={folder}", "progress=false"]) == 2
    assert "is being written by another process" in capsys.readouterr().err
    assert main(["shards", f"resume={folder}", "progress=false"]) == 0
    for path in shards.rglob("00*.*"):
        assert (folder / path.relative_to(shards)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["shards", "nothing/"], "no images under"),
        (["shards", "data=shards"], "data.root: expected a folder with shards, got none"),
        (["shards", "resume=nothing"], "there is no run in 'nothing'"),
        (
            ["shards", *DRAWN, "data.split.folds=5", "data.split.fold=0"],
            "data.split.folds: shards have one split",
        ),
        (["shards", *DRAWN, "data.batch_size=8"], "data.batch_size: shards does not read it"),
        (["shards", *DRAWN, "tiles_per_shard=0"], "tiles_per_shard: expected"),
        (["predict", "checkpoint=builtin", "shards/"], "schema_version None, expected 1"),
    ],
)
def test_what_leads_to_no_shards_is_one_sentence(
    line: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "shards.json").write_text("{}")
    assert main(line) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") <= 2


def test_folds_are_split_by_each_run_from_shards_without_splits(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    assert main(["shards", *DRAWN, "assign_splits=false", f"hydra.run.dir={folder}", "progress=false"]) == 0
    assert set(read_shards(folder).split) == {""}
    assert np.unique(read_shards(folder).group).size > 10
    assert not (folder / "splits.csv").exists()
