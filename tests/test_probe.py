"""A head on kept features from end to end, on a few drawn tiles."""

from __future__ import annotations

import csv
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crack_lightning import load
from crack_lightning.cli.main import main
from crack_lightning.training.probe import L2_TRIED, LinearProbe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Train = Callable[..., Path]

SETTINGS = [
    "recipe=probe",
    "data.synthetic.num_tiles=160",
    "data.synthetic.tile_px=64",
    "data.batch_size=24",
    "model=mobilenetv3_small",
    "model.image_size=48",
    "trainer.threads=1",
    "progress=false",
]


def report(folder: Path) -> dict[str, Any]:
    contents: dict[str, Any] = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    return contents


@pytest.fixture(scope="module")
def train(tiny_weights: str) -> Train:
    def trained(outputs: Path, *overrides: str) -> Path:
        before = set(outputs.glob("*/*"))
        own = [f"model.weights={tiny_weights}", f"outputs={outputs}"]
        assert main(["train", *SETTINGS, *own, *overrides]) == 0
        [folder] = set(outputs.glob("*/*")) - before
        return folder

    return trained


@pytest.fixture(scope="module")
def folder(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("outputs"))


@pytest.fixture
def nothing_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def computed(self: LinearProbe, rows: object, *, view: int | None) -> Any:
        pytest.fail("features were computed again")
        yield

    monkeypatch.setattr(LinearProbe, "_compute_features", computed)


def test_a_probe_leaves_what_every_run_leaves(folder: Path) -> None:
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt", "README.md"}
    assert (folder / "report" / "confusion_matrix.png").is_file()
    assert not (folder / "report" / "loss_curve.png").exists()
    assert "L2 penalty " in (folder / "report" / "report.md").read_text()
    assert any((folder / "tensorboard").iterdir())


def test_the_penalty_has_the_least_validation_loss_of_those_tried(folder: Path) -> None:
    made = report(folder)["provenance"]
    tried = {row["l2"]: row["val/loss"] for row in made["l2_tried"]}
    assert tuple(tried) == L2_TRIED
    assert made["l2"] == min(tried, key=lambda l2: tried[l2])


def test_the_report_names_the_engine_and_how_far_it_is_from_eager(folder: Path) -> None:
    made = report(folder)["provenance"]
    assert made["backend"].endswith(" on cpu")
    bound = {"32": 1e-3, "bf16": 2**-5}[made["precision"]]  # of eight bits, and sixty layers
    assert 0 <= made["max_abs_difference_from_float32"] < bound


def test_the_checkpoint_answers_as_the_test_did(folder: Path, root_of: Callable[[Path], Path]) -> None:
    with (folder / "splits.csv").open(encoding="utf-8", newline="") as file:
        tested = [row["path"] for row in csv.DictReader(file) if row["split"] == "test"]
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        said = {row["path"]: float(row["probability_crack"]) for row in csv.DictReader(file)}
    assert said.keys() == set(tested)
    root = root_of(folder)
    answers = load(folder / "checkpoints" / "best.ckpt").predict([root / path for path in tested])
    stated = report(folder)["provenance"]["max_abs_difference_from_float32"]
    assert len(tested) <= 64, "the report looked at all of them"
    differs = np.abs(answers.probabilities[:, 1] - [said[path] for path in tested]).max()
    assert differs == pytest.approx(stated, abs=1e-4)


@pytest.mark.usefixtures("folder", "nothing_computed")
@pytest.mark.parametrize(
    "override", ["seed=0", "recipe.l2=0.05", "data.split.seed=3", "recipe.loss.class_weights=balanced"]
)
def test_another_head_or_split_takes_the_kept_features(override: str, train: Train, tmp_path: Path) -> None:
    made = report(train(tmp_path, override))["provenance"]
    if override == "recipe.l2=0.05":
        assert [row["l2"] for row in made["l2_tried"]] == [0.05]


def test_views_are_computed_once_each(
    folder: Path, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int | None] = []
    real = LinearProbe._compute_features

    def watched(self: LinearProbe, rows: Any, *, view: int | None) -> Any:
        computed.append(view)
        yield from real(self, rows, view=view)

    monkeypatch.setattr(LinearProbe, "_compute_features", watched)
    two = train(tmp_path, "recipe.views=2", "augmentation=light")
    assert computed == [0, 1]
    three = train(tmp_path, "recipe.views=3", "augmentation=light")
    assert computed == [0, 1, 2]
    losses = [report(run)["provenance"]["l2_tried"][-1]["val/loss"] for run in (folder, two, three)]
    assert len(set(losses)) == 3


def test_limits_leave_out_tiles_of_training_and_validation_alone(
    folder: Path, train: Train, tmp_path: Path
) -> None:
    limited = report(train(tmp_path, "trainer=smoke", "trainer.max_train_batches=1"))
    assert limited["metrics"]["tiles"] == report(folder)["metrics"]["tiles"]
    assert limited["provenance"]["l2_tried"] != report(folder)["provenance"]["l2_tried"]


def test_a_precision_that_the_cpu_would_not_read_is_refused(
    tmp_path: Path, tiny_weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [f"model.weights={tiny_weights}", "trainer=cpu", "trainer.precision=bf16", f"outputs={tmp_path}"]
    assert main(["train", *SETTINGS, *own]) == 2
    assert "on the CPU recipe.engine sets the precision of recipe=probe" in capsys.readouterr().err


def test_a_probe_that_broke_off_ends_as_the_unbroken_one(train: Train, tmp_path: Path) -> None:
    folder = train(tmp_path / "unbroken", "recipe.engine=eager")  # else the fastest of the moment
    for phase in ("fit", "test"):
        broken = tmp_path / phase
        shutil.copytree(folder, broken)
        shutil.rmtree(broken / "report")
        (broken / "predictions.csv").unlink()
        state = json.loads((broken / "state.json").read_text())
        if phase == "fit":
            shutil.rmtree(broken / "checkpoints")
            state = {"command": state["command"]}
        (broken / "state.json").write_text(json.dumps(state | {"phase": phase}))
        assert main(["train", f"resume={broken}"]) == 0
        assert (broken / "predictions.csv").read_text() == (folder / "predictions.csv").read_text()
        again, first = report(broken), report(folder)
        assert "times_resumed" not in first["timing"]
        assert again["timing"]["times_resumed"] == 1
        assert "| times resumed | 1 |" in (broken / "report" / "report.md").read_text()
        for contents in (again, first):
            del contents["timing"], contents["created"]
        assert again == first


def test_the_network_learns_on_from_the_probes_head(tmp_path: Path, tiny: list[str]) -> None:
    staged = ["recipe=probe_then_finetune", "recipe.sizes=[32,48]", "recipe.unfreeze_by=1"]
    assert main(["train", *tiny, *staged, f"outputs={tmp_path}"]) == 0
    [found] = tmp_path.glob("*/*_mobilenetv3_small_synthetic")
    contents = report(found)
    assert len(contents["history"]) == 2
    assert contents["provenance"]["l2"] in [row["l2"] for row in contents["provenance"]["l2_tried"]]
    assert contents["provenance"]["backend"] == "eager PyTorch on cpu"
    assert contents["timing"]["seconds"].keys() >= {"features", "head", "training", "test"}


@pytest.mark.slow
def test_heads_of_a_sweep_in_one_process_are_those_of_runs_alone(
    train: Train, tiny_weights: str, tmp_path: Path
) -> None:
    own = [f"model.weights={tiny_weights}", f"outputs={tmp_path}", "evaluation.threshold=f1"]
    grid = ["recipe.l2=0.01,0.3", "seed=0,3"]
    assert main(["train", "-m", *SETTINGS, *own, *grid]) == 0
    [sweep] = tmp_path.glob("multirun/*/*")
    jobs = {tuple(job["overrides"][-2:]): sweep / str(job["job"]) for job in planned(sweep)}
    logs = [(folder / "run.log").read_text(encoding="utf-8") for folder in jobs.values()]
    assert ["the tiles that the job before has read" in log for log in logs] == [False, True, True, True]
    for head in (("recipe.l2=0.01", "seed=3"), ("recipe.l2=0.3", "seed=0")):
        together, alone = jobs[head], train(tmp_path, own[2], *head)
        for name in ("predictions.csv", "splits.csv"):
            assert (together / name).read_bytes() == (alone / name).read_bytes()
        parts = ("metrics", "uncertainty", "calibration", "ood", "curves", "data", "threshold")
        assert [report(together)[part] for part in parts] == [report(alone)[part] for part in parts]
        for name in ("example_tiles.png", "augmentations.png"):
            assert (together / "report" / name).read_bytes() == (alone / "report" / name).read_bytes()


def planned(sweep: Path) -> list[dict[str, Any]]:
    """Return the events of a sweep's planned jobs."""
    lines = (sweep / "sweep.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if "overrides" in event]
