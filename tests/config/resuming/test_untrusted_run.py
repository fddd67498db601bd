"""A run's folder of a stranger runs nothing, and nothing is written outside of it."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]

from crack_lightning.cli.main import main
from crack_lightning.config import TrainConfig, compose_config, parse, resumed_config
from crack_lightning.experiment.result import ExperimentResult
from crack_lightning.runtime.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pathlib import Path

STOPPING = {"_target_": "pytorch_lightning.callbacks.EarlyStopping", "patience": 4}
RATE = {"_target_": "pytorch_lightning.callbacks.LearningRateMonitor", "logging_interval": "step"}
BAR = {"_target_": "pytorch_lightning.callbacks.RichProgressBar"}
PACKAGED = {"early_stopping": STOPPING, "learning_rate": RATE, "progress_bar": BAR}
TENSORBOARD = {"tensorboard": {"_target_": "pytorch_lightning.loggers.TensorBoardLogger"}}


def settings(**changes: Any) -> dict[str, Any]:
    """What a run of the packaged defaults keeps in its config.yaml, with some changes."""
    return asdict(TrainConfig(callbacks=PACKAGED, logger=TENSORBOARD)) | changes


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Outside:
    """A folder beside the run, with what must stay as it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "checkpoints").mkdir(parents=True)
        self.file = folder / "mine.txt"
        for path in (self.file, folder / "checkpoints" / "last.ckpt", folder / "old.hparams"):
            path.write_text("mine", encoding="utf-8")

    def is_untouched(self) -> bool:
        files = {path: path.read_text(encoding="utf-8") for path in self.folder.rglob("*") if path.is_file()}
        return len(files) == 3 and set(files.values()) == {"mine"}


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(tmp_path / "outside")


def resume(folder: Path, *overrides: str, config: dict[str, Any] | bytes) -> int:
    content = config if isinstance(config, bytes) else yaml.safe_dump(config).encode()
    (folder / "config.yaml").write_bytes(content)
    return main(["train", f"resume={folder}", *overrides])


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "plugins": ({"plugins": ["evil"]}, "repeat 'plugins=[\"evil\"]'"),
    "a plugin's callback": (
        {"plugins": ["evil"], "callbacks": {"x": {"_target_": "evil.Mine", "path": "/"}}},
        '\'+callbacks.x={_target_: "evil.Mine", path: "/"}\'',
    ),
    "a callback that writes elsewhere": (
        {
            "callbacks": PACKAGED
            | {"x": {"_target_": "pytorch_lightning.callbacks.ModelCheckpoint", "dirpath": "/x/y"}}
        },
        '\'+callbacks.x={_target_: "pytorch_lightning.callbacks.ModelCheckpoint", dirpath: "/x/y"}\'',
    ),
    "a changed argument": (
        {"callbacks": PACKAGED | {"early_stopping": STOPPING | {"patience": 99}}},
        "repeat '~callbacks.early_stopping' '+callbacks.early_stopping={_target_: ",
    ),
    "a logger that writes elsewhere": (
        {"logger": {"csv": {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": "/x/y"}}},
        '\'+logger.csv={_target_: "pytorch_lightning.loggers.CSVLogger", save_dir: "/x/y"}\'',
    ),
    "a text for the shell": (
        {"logger": {"csv": {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": "'; rm -rf ~ #"}}},
        "'\"'\"'; rm -rf ~ #",
    ),
}


@pytest.mark.parametrize(("changes", "said"), HOSTILE.values(), ids=HOSTILE)
def test_code_that_a_folder_names_is_refused_with_what_to_repeat(
    changes: dict[str, Any],
    said: str,
    stranger: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert resume(stranger, config=settings(**changes)) == 2
    written = capsys.readouterr().err
    assert "are expected from the command line, because they name code to run" in written
    assert said in written
    assert names(stranger) == ["config.yaml", "evil.py"]
    assert not (tmp_path / "it ran").exists()


def accepted(folder: Path, *overrides: str, config: dict[str, Any]) -> TrainConfig:
    """Read a run's configuration as ``train resume=<folder>`` does before it imports torch."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    asked = parse(compose_config("train", overrides), TrainConfig)
    return resumed_config(folder, current=asked, overrides=overrides)


def test_the_repeated_code_is_accepted_as_the_error_writes_it(stranger: Path) -> None:
    node = {"_target_": "evil.Mine", "text": "a, 'b' \"c\" {d}", "steps": [1, None, 0.5], "on": True}
    changed = {"early_stopping": STOPPING | {"patience": 9}}
    hostile = settings(plugins=["evil"], callbacks=PACKAGED | changed | {"x": node})
    with pytest.raises(ConfigError, match="if you trust that code, repeat") as refused:
        accepted(stranger, config=hostile)
    advice = shlex.split(str(refused.value).rpartition("repeat ")[2])
    found = accepted(stranger, *advice, config=hostile)
    assert (found.plugins, found.callbacks) == (hostile["plugins"], hostile["callbacks"])


@pytest.mark.parametrize("off", [{}, {"progress_bar": None}])
def test_what_a_folder_leaves_off_needs_no_repetition(off: dict[str, Any], stranger: Path) -> None:
    found = accepted(stranger, config=settings(callbacks=off, logger={}))
    assert (found.callbacks, found.logger) == (off, {})
    with pytest.raises(ConfigError, match=r"was begun without 'plugins=\[json\]'; leave it out"):
        accepted(stranger, "plugins=[json]", config=settings(callbacks=off, logger={}))


LINKS = {
    "a log": ("run.log", "mine.txt"),
    "a lock": (".lock", "mine.txt"),
    "a stranger of checkpoints": ("checkpoints", "checkpoints"),
    "a checkpoint": ("checkpoints/last.ckpt", "checkpoints/last.ckpt"),
    "TensorBoard's folder": ("tensorboard", "."),
    "a report": ("report", "."),
    "a stranger far down": ("report/a/b/c", ".."),
    "a hard link": ("run.log", "hard"),
    "a pipe": ("state.json", "pipe"),
}


@pytest.mark.parametrize(("name", "target"), LINKS.values(), ids=LINKS)
def test_a_link_through_which_would_be_written_elsewhere_is_refused(
    name: str, target: str, stranger: Path, outside: Outside, capsys: pytest.CaptureFixture[str]
) -> None:
    (stranger / name).parent.mkdir(parents=True, exist_ok=True)
    if target == "hard":
        os.link(outside.file, stranger / name)
    elif target == "pipe":
        os.mkfifo(stranger / name)
    else:
        (stranger / name).symlink_to(outside.folder / target)
    before = names(stranger)
    assert resume(stranger, config=settings()) == 2
    assert re.search(r"resume: expected plain files and folders in .* got the", capsys.readouterr().err)
    assert names(stranger) == sorted({*before, "config.yaml"})
    assert outside.is_untouched()


def bomb(levels: int = 30) -> bytes:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, levels))]
    return "\n".join(lines).encode()


UNREADABLE = {
    "empty": (b"", "has no settings of data, model, optimizer, recipe, trainer"),
    "one key": (b"seed: 3\n", "has no settings of data, model"),
    "binary": (bytes(range(256)), "cannot be read"),
    "a list": (b"- 1\n- 2\n", "expected keys and values, got a list"),
    "a word": (b"hello", "has no settings of data"),
    "nested": (b"[" * 50_000, "it is nested more than 30 deep"),
    "an alias bomb": (bomb(), "aliases (*name) are not followed"),
    "a date": (b"data: 2001-99-99", "config.yaml' is no configuration of train"),
    "an object": (b"data: !!python/object/apply:os.system ['touch /x/y']", "cannot be read"),
    "a set": (b"data: !!set {a, b}", "config.yaml' "),
    "a hydra node": (
        yaml.safe_dump(settings(hydra={"callbacks": {"x": {"_target_": "os.system"}}})).encode(),
        "hydra: no such key",
    ),
    "a secret": (
        yaml.safe_dump(settings(outputs="${oc.env:HOME}")).encode(),
        "references are not followed, got '${oc.env:HOME}'",
    ),
    "a disguised secret": (
        yaml.safe_dump(settings()).replace("outputs: outputs", 'outputs: "\\x24{oc.env:HOME}"').encode(),
        "references are not followed, got '${oc.env:HOME}'",
    ),
    "large": (b"#" * (2**18 + 1), "it has 262,145 bytes, expected at most 262,144"),
}


@pytest.mark.parametrize(("content", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_configuration_of_a_run_is_one_sentence(
    content: bytes, said: str, stranger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert resume(stranger, config=content) == 2
    written = capsys.readouterr().err
    assert said in written
    assert written.startswith("error: resume: '")
    assert names(stranger) == ["config.yaml", "evil.py"]


@pytest.mark.parametrize(
    "content",
    [
        *(b"[]", b"{}", b"{", b"\xff\xfe", b"[" * 20_000, b'{"title": ["x"]}'),
        b'{"title": "x", "verdict": "y", "warnings": [3]}',
        b'{"title": "x", "verdict": "y", "warnings": [], "classes": {"a": {"precision": 1e999}}}',
    ],
)
def test_a_finished_run_with_a_damaged_report_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.json").write_bytes(content)
    with pytest.raises(DataError, match=r"resume: '.*report\.json' is damaged \("):
        ExperimentResult.read(tmp_path)


def test_the_report_of_a_run_of_ours_is_read(run: Path) -> None:
    assert ExperimentResult.read(run).contents["title"] == "mobilenetv3_small on synthetic"
