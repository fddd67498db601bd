"""What every command says of pictures that it leaves out, and of those that are damaged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.cli.main import main
from crack_lightning.experiment import evaluation_run
from crack_lightning.model.classifier import CrackClassifier
from crack_lightning.model.weights.checkpoints import save_model
from crack_lightning.report.explanations import explain_test_tiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Build = Callable[..., CrackClassifier]

COMMANDS = {
    "train": (["data=image_folder", "data.root={root}", "recipe=scratch"], 2),  # too few tiles to split
    "evaluate": (["data=image_folder", "data.root={root}", "checkpoint={checkpoint}"], 0),
    "predict": (["{root}", "checkpoint={checkpoint}"], 0),
    "audit": (["{root}"], 0),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tile of each class."""
    rng = np.random.default_rng(0)
    for folder in ("crack", "intact"):
        (tmp_path / "tiles" / folder).mkdir(parents=True)
        pixels = rng.normal(140, 25, (96, 96, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "tiles" / folder / "a.jpg", quality=90)
    return tmp_path / "tiles"


@pytest.fixture
def checkpoint(build_classifier: Build, tmp_path: Path) -> Path:
    save_model(build_classifier(temperature=1.0, threshold=0.5).eval(), tmp_path / "model.ckpt")
    return tmp_path / "model.ckpt"


@pytest.fixture
def told(
    root: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run a command on the tiles; return its exit code and all that it printed."""

    def run(command: str, *more: str) -> tuple[int, str]:
        arguments = [given.format(root=root, checkpoint=checkpoint) for given in COMMANDS[command][0]]
        own = [f"outputs={tmp_path / 'out'}", "progress=false", "trainer.threads=1"]
        code = main([command, *arguments, *(own[:2] if command == "audit" else own), *more])
        printed = capsys.readouterr()
        return code, " ".join((printed.out + printed.err).split())

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_counts_the_pictures_that_it_leaves_out(
    command: str, root: Path, told: Callable[..., tuple[int, str]]
) -> None:
    (root / "more.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    code, printed = told(command)
    assert code == COMMANDS[command][1], printed
    said = r"1 picture left out: 1 in '[^']*' \(an archive, which is not opened here; unpack it\)"
    assert re.search(said, printed), printed


SAID = {
    "train": "crack/b.jpg (damaged (premature end",
    "evaluate": "crack/b.jpg (damaged (premature end",
    "predict": "not read: 1 of 3 pictures",
    "audit": "",
}


@pytest.mark.parametrize("command", SAID)
def test_every_command_names_a_jpeg_that_lost_half_of_its_bytes(
    command: str, root: Path, told: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    whole = (root / "crack" / "a.jpg").read_bytes()
    (root / "crack" / "b.jpg").write_bytes(whole[: len(whole) // 2] + b"\xff\xd9")
    code, printed = told(command)
    refuses = command in ("train", "evaluate")
    assert (code, SAID[command] in printed) == (2 * refuses, True), printed
    if not refuses:
        made = [path for kind in ("csv", "json") for path in (tmp_path / "out").rglob(f"*.{kind}")]
        said = re.compile(r"b\.jpg[^{}]*damaged|damaged[^{}]*b\.jpg")
        assert any(said.search(path.read_text(encoding="utf-8")) for path in made)


def test_explanations_are_computed_on_the_device_of_the_run(
    told: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    moves: list[Any] = []

    def explained(classifier: CrackClassifier, *given: Any, **named: Any) -> Any:
        moves.append("explained")
        return explain_test_tiles(classifier, *given, **named)

    def moved(classifier: CrackClassifier, device: Any) -> CrackClassifier:
        moves.append(device)
        return classifier

    monkeypatch.setattr(evaluation_run, "explain_test_tiles", explained)
    monkeypatch.setattr(CrackClassifier, "to", moved)
    assert told("evaluate")[0] == 0
    assert moves[: moves.index("explained")][-1:] == ["cpu"]  # as the plan names it; Lightning gives a device
