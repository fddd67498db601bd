"""Mistakes are one sentence and exit code 2; paths survive Hydra's grammar."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from crack_lightning.cli.arguments import hydra_arguments
from crack_lightning.cli.main import main, run_guarded
from crack_lightning.runtime.errors import ConfigError, CrackLightningError, FailedJobsError, Interrupted

if TYPE_CHECKING:
    from pathlib import Path


def test_a_model_that_timm_lacks_is_refused_before_torch_is_imported() -> None:
    command = ["-X", "importtime", "-m", "crack_lightning.train", "model=timm", "model.name=nosuchnet"]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "model.name: expected plain_cnn or a network of timm, got 'nosuchnet'; did you mean" in done.stderr
    assert "Traceback" not in done.stderr
    assert "| torch\n" not in done.stderr


def test_problems_are_reported_all_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["recipe.backbone_lr_scale=0.2", "recipe.loss.focal_gamma=1.5", "data.archive=a.zip"]
    assert main(["train", *arguments]) == 2
    written = capsys.readouterr().err
    for key in ("recipe.backbone_lr_scale", "recipe.loss.focal_gamma", "data.archive"):
        assert f"{key}: " in written


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (FailedJobsError("x"), 3),
        (Interrupted(15), 143),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("x"), 1),
    ],
)
def test_exit_codes_tell_who_must_act(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise error

    assert run_guarded(fail) == code
    assert ("Traceback" in capsys.readouterr().err) == (code == 1)


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_without_room_is_no_fault_of_ours(reason: int, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise OSError(reason, os.strerror(reason), "run/report.json")

    assert run_guarded(fail) == 2
    written = capsys.readouterr().err
    assert written.startswith(
        f"error: outputs: cannot write 'run/report.json' ({os.strerror(reason)}); make room"
    )
    assert written.count("\n") == 1


def test_an_audit_is_of_one_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "tiles", "more tiles"]) == 2
    assert "audit: expected one folder, got 2" in capsys.readouterr().err


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert "no command 'trian'; did you mean train?" in capsys.readouterr().err


def test_rerunning_a_pickle_is_refused() -> None:
    with pytest.raises(CrackLightningError, match=r"--experimental-rerun.*refused"):
        hydra_arguments("train", ["--experimental-rerun", "x"])


def test_a_sweep_varies_paths_but_not_one_with_a_comma_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a, b").mkdir()
    given = ["model.weights=none,imagenet", "data.root=a, b", "data.exclude=c d.csv,e.csv", "outputs=f,g"]
    arguments = hydra_arguments("train", [*given, "-m"])[1:]
    read = [OverridesParser.create().parse_override(argument) for argument in arguments]
    assert [list(item.sweep_string_iterator()) for item in read if item.is_sweep_override()] == [
        ["none", "imagenet"],
        ["'c d.csv'", "e.csv"],
    ]
    assert [item.value() for item in read if not item.is_sweep_override()] == ["a, b", "f,g"]
    assert hydra_arguments("train", given[:1]) == ["model.weights='none,imagenet'"]


@pytest.mark.parametrize("key", ["optimizer.lr", "source", "checkpoint"])
def test_an_override_may_be_longer_than_a_name_of_a_file(key: str) -> None:
    values = ",".join(f"{number / 1000:.3f}" for number in range(1, 201))
    [argument] = hydra_arguments("predict", [f"{key}={values}"])
    assert OverridesParser.create().parse_override(argument).key_or_group == key


def test_flags_may_stand_anywhere() -> None:
    typed = ["seed=1", "-m", "model=a,b", "--cfg", "job"]
    assert hydra_arguments("train", typed) == ["-m", "--cfg", "job", "seed=1", "model=a,b"]


HEAVY = {"torch", "numpy", "PIL", "cv2", "scipy", "matplotlib", "rich", "openvino"}


@pytest.mark.parametrize(
    ("line", "shown", "spared"),
    [
        ("--help", "predict the class of photos", HEAVY | {"hydra"}),
        ("train --help", "max_epochs", HEAVY),
        ("train --help trainer", "max_epochs", HEAVY),
        ("train --cfg job", "max_epochs", HEAVY),
        ("predict --help", "best.ckpt", HEAVY),
        ("audit --help", "data.source", HEAVY),
        ("cache --help", "usage: ", HEAVY | {"hydra"}),
    ],
)
def test_help_imports_nothing_heavy(line: str, shown: str, spared: set[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "crack_lightning", *line.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown in done.stdout
    assert not spared & {row.rpartition("|")[2].strip() for row in done.stderr.splitlines()}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("evaluate checkpoint=nowhere.ckpt", "checkpoint: there is no file 'nowhere.ckpt'"),
        ("predict nowhere.ckpt photo.jpg", "checkpoint: there is no file 'nowhere.ckpt'"),
        ("predict checkpoint=builtin nowhere.jpg", "source: no such file, folder or pattern: 'nowhere.jpg'"),
        ("train model.weights=nowhere.pth", "model.weights: a file is expected, got 'nowhere.pth'"),
        ("train data=metu", "data: 'metu' needs its images; set data.root=<folder that holds them>"),
        (
            "train data=image_folder data.root=nowhere",
            "data.root: 'nowhere' does not exist; expected a folder",
        ),
        (
            "evaluate checkpoint=builtin data=masked_photos",
            "data.root: expected a folder with photos and masks",
        ),
    ],
)
def test_what_is_not_there_is_told_before_torch_is_imported(line: str, told: str) -> None:
    code = (
        "import sys; from crack_lightning.cli.main import main; "
        f"print(main({line.split()}), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2 False\n"
    assert told in done.stderr


@pytest.mark.parametrize("arguments", [["--version"], ["train", "--version"]])
def test_the_version_is_this_packages(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"{version('crack-lightning')}\n"
