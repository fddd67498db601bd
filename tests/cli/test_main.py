"""Mistakes are one sentence and exit code 2; paths survive Hydra's grammar."""

from __future__ import annotations

import errno
import os
import shlex
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from crack_lightning.cli.arguments import _path_overrides, hydra_arguments, shell_line
from crack_lightning.cli.main import main, run_guarded
from crack_lightning.runtime.errors import ConfigError, CrackLightningError, FailedJobsError, Interrupted

if TYPE_CHECKING:
    from pathlib import Path

MISTAKES = {
    "model.lr=1": "model.lr: no such key; did you mean optimizer.lr (OptimizerConfig in config/",
    "+tets=1": "tets: no such key; did you mean ",
    "model=mobilnetv2": "did you mean model=mobilenetv2 (conf/model/mobilenetv2.yaml)?",
    "modle=resnet18": "modle: no such group; did you mean model=… (conf/model/)?",
    "trainer.max_epochs=ten": "trainer.max_epochs: expected a whole number, got 'ten'",
    "trainer.max_epochs=-1": "trainer.max_epochs: expected a number at least 1, got -1.",
    "data.batch_size=0": "data.batch_size: expected a number at least 1, got 0.",
    "seed=abc": "seed: expected a whole number, got 'abc'",
    "seed=-1": "seed: expected a number between 0 and 4294967295, got -1.",
    "data.seed=4294967296": "data.seed: expected a number between 0 and 4294967295, got 4294967296.",
    "data.split.seed=-1": "data.split.seed: expected a number between 0 and 4294967295, got -1.",
    "recipe.loss.nam=focal": "recipe.loss.nam: no such key; did you mean recipe.loss.name",
    "++data.split.sed=3": "data.split.sed: no such key; did you mean data.split.seed",
    "callbacks.early_stoping.patience=3": "did you mean callbacks.early_stopping.patience (conf/callbacks/",
    "data.root=tiles": "data.root: data=synthetic does not read it; use data=image_folder",
    "model.weights=imagnet": "model.weights: expected none, imagenet, or a path",
    "data.split.fractions=[0.5,0.5,0.5]": "data.split.fractions: expected three shares above 0 that sum to 1",
    "data.batch_size=[1": "'data.batch_size=[1': no viable alternative at input '[1'; see --help",
    "optimizer=adamw,sgd": "optimizer: expected one value, got 'adamw,sgd'; add -m to run each",
    "model": "'model': expected key=value",
}


@pytest.mark.parametrize(("argument", "sentence"), MISTAKES.items())
def test_a_mistake_is_one_sentence(argument: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", argument]) == 2
    written = capsys.readouterr()
    assert sentence in written.err
    assert written.err.count("\n") == 1
    assert not written.out


def test_a_model_that_timm_lacks_is_refused_before_torch_is_imported() -> None:
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "crack_lightning.train",
        "model=timm",
        "model.name=nosuchnet",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
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


AWKWARD = [
    "site (1)/a.jpg",
    "a=b.jpg",
    "x#y.jpg",
    "it's.jpg",
    'say "no".jpg',
    "~home.jpg",
    "Öl Riß 裂缝.jpg",
    "[1].jpg",
    "back\\slash.jpg",
]


@pytest.mark.parametrize("path", AWKWARD)
def test_a_path_survives_the_grammar_of_overrides(path: str) -> None:
    for key in ("data.root", "checkpoint", "resume"):
        [argument] = hydra_arguments("evaluate", [f"{key}={path}"])
        assert OverridesParser.create().parse_override(argument).value() == path


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


@pytest.mark.parametrize("path", AWKWARD)
def test_a_command_is_told_as_it_was_typed(path: str) -> None:
    for key in ("data.root", "checkpoint"):
        line = shell_line("evaluate", [*hydra_arguments("evaluate", [f"{key}={path}"]), "seed=3"])
        assert shlex.split(line)[3:] == [f"{key}={path}", "seed=3"]
    line = shell_line("compare", _path_overrides("compare", [path]))
    assert shlex.split(line)[3:] == [path]


@pytest.mark.parametrize("path", AWKWARD)
def test_predict_takes_plain_paths(path: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path

    monkeypatch.chdir(Path(str(tmp_path)))
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).touch()
    checkpoint, source = hydra_arguments("predict", ["model (2).ckpt", path])
    assert OverridesParser.create().parse_override(checkpoint).value() == "model (2).ckpt"
    assert OverridesParser.create().parse_override(source).value() == [path]


@pytest.mark.parametrize("key", ["optimizer.lr", "source", "checkpoint"])
def test_an_override_may_be_longer_than_a_name_of_a_file(key: str) -> None:
    values = ",".join(f"{number / 1000:.3f}" for number in range(1, 201))
    [argument] = hydra_arguments("predict", [f"{key}={values}"])
    assert OverridesParser.create().parse_override(argument).key_or_group == key


def test_flags_may_stand_anywhere() -> None:
    assert hydra_arguments("train", ["seed=1", "-m", "model=a,b", "--cfg", "job"]) == [
        "-m",
        "--cfg",
        "job",
        "seed=1",
        "model=a,b",
    ]


@pytest.mark.parametrize("flags", [["--help"], ["--help", "trainer"], ["--cfg", "job"]])
def test_help_imports_no_torch(flags: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "crack_lightning.train", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "max_epochs" in done.stdout
    assert "| torch\n" not in done.stderr


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
