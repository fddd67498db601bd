"""What somebody types who meets the commands for the first time, and the sentence that tells what to do."""

from __future__ import annotations

import runpy
import sys
from typing import TYPE_CHECKING

import pytest

from crack_lightning.cli.main import main
from crack_lightning.config.commands import COMMANDS

if TYPE_CHECKING:
    from pathlib import Path

MISTAKES = {
    "train model.lr=1": "model.lr: no such key; did you mean optimizer.lr (OptimizerConfig in config/",
    "train +tets=1": "tets: no such key; did you mean ",
    "train model=mobilnetv2": "did you mean model=mobilenetv2 (conf/model/mobilenetv2.yaml)?",
    "train modle=resnet18": "modle: no such group; did you mean model=… (conf/model/)?",
    "train trainer.max_epochs=ten": "trainer.max_epochs: expected a whole number, got 'ten'",
    "train trainer.max_epochs=-1": "trainer.max_epochs: expected a number at least 1, got -1.",
    "train data.batch_size=0": "data.batch_size: expected a number at least 1, got 0.",
    "train seed=abc": "seed: expected a whole number, got 'abc'",
    "train seed=-1": "seed: expected a number between 0 and 4294967295, got -1.",
    "train data.seed=4294967296": "data.seed: expected a number between 0 and 4294967295, got 4294967296.",
    "train data.split.seed=-1": "data.split.seed: expected a number between 0 and 4294967295, got -1.",
    "train recipe.loss.nam=focal": "recipe.loss.nam: no such key; did you mean recipe.loss.name",
    "train ++data.split.sed=3": "data.split.sed: no such key; did you mean data.split.seed",
    "train callbacks.early_stoping.patience=3": "did you mean callbacks.early_stopping.patience (conf/",
    "train data.root=tiles": "data.root: data=synthetic does not read it; use data=image_folder",
    "train model.weights=imagnet": "model.weights: expected none, imagenet, or a path",
    "train data.split.fractions=[0.5,0.5,0.5]": "data.split.fractions: expected three shares above 0 that",
    "train data.batch_size=[1": "'data.batch_size=[1': no viable alternative at input '[1'; see --help",
    "train optimizer=adamw,sgd": "optimizer: expected one value, got 'adamw,sgd'; add -m to run each",
    "train model": "'model': expected key=value",
    "train --epochs 5": "--epochs: no such flag; settings have no dashes, as in epochs=…; see --help.",
    "train --model=resnet18": "--model=resnet18: no such flag; settings have no dashes, as in model=resnet18",
    "train -m seed=0,1 --cfg job": "-m: --cfg and --info show one configuration; leave -m out.",
    "train model=null": "model: expected one of convnext_atto, efficientnet_b0",
    "train trainer=3": "trainer: expected one of auto, cpu, ddp, gpu, smoke, got '3'; set one of them",
    "train model=timm": "model.name: expected a network of timm, got none; give one, as in model.name=",
    "train optimizer.lr=interval(1e-4,1e-2)": (
        "optimizer.lr: expected one value, got 'interval(1e-4,1e-2)'; add -m to run several."
    ),
    "train recipe.sizes=64": "recipe.sizes: expected a list, as in [a, b], got a single value",
    "train data.synthetic=5": "data.synthetic: expected keys, as in data.synthetic.<key>=…, got '5'",
    "train data.group_pattern=(a": "'data.group_pattern=(a': extraneous input '('; see --help, and quote",
    "train -m data=metu data.root=nowhere seed=0,1": "data.root: 'nowhere' does not exist; set data.root=",
    "train -m model.weights=a.pth,b.pth": "model.weights: a file is expected, got 'a.pth', which is none",
    "evaluate -m checkpoint=a,b": "checkpoint: there is no file 'a'; give a run's",
    "train -m model=glob(zz*)": "model: expected values to choose from, got glob(zz*), which fits no option",
    "train -m hydra/launcher=slurm hydra.launcher.parttion=gpu seed=0,1": (
        "hydra.launcher.parttion: no such key; did you mean hydra.launcher.partition "
        "(conf/hydra/launcher/slurm.yaml)?"
    ),
    "train sweep.search=tpe": "sweep.search: a run without -m does not read it; add -m, or leave it out.",
    "train data.split.file=nowhere.csv": "data.split.file: a CSV file is expected, got 'nowhere.csv'",
    "evaluate best.ckpt": "'best.ckpt': expected key=value, as in checkpoint=best.ckpt; see --help.",
    "evaluate checkpoint=builtin data.split.seed=3": "data.split.seed: evaluate does not read it",
    "evaluate checkpoint=nowhere": "there is no file 'nowhere'; give a run's checkpoints/best.ckpt, or",
    "predict photo.jpg": "checkpoint: expected a run's checkpoints/best.ckpt, or builtin, got none",
    "predict best.ckpt": "source: expected files, folders or patterns, got none; give source=….",
    "predict a.ckpt b.ckpt photo.jpg": "checkpoint: expected one, got a.ckpt, b.ckpt; predict with one after",
    "predict checkpoint=builtin photo.jpg map=maybe": "map: expected true or false, got 'maybe'",
    "predict checkpoint=builtin photo.jpg model=resnet18": "model: this command does not read it; leave",
    "predict checkpoint=builtin photo.jpg trianer=cpu": "trianer: no such group; did you mean trainer=…",
    "audit nowhere": "data.root: 'nowhere' does not exist; expected a folder of images.",
    "audit data.exclude=nowhere.csv": "data.exclude: a CSV file is expected, got 'nowhere.csv'",
    "compare": "runs: expected folders of finished runs or of a sweep, got none; give runs=….",
    "compare a b data=metu": "data: this command does not read it; leave it out, or see --help.",
    "cache clean": "cache: expected list or clear, got 'clean'.",
}


@pytest.mark.parametrize(("line", "sentence"), MISTAKES.items())
def test_a_mistake_is_one_sentence_and_leaves_nothing_behind(
    line: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == 2
    written = capsys.readouterr()
    assert sentence in written.err
    assert written.err.count("\n") == 1
    assert not written.out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_runs_as_a_module(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    monkeypatch.delitem(sys.modules, f"crack_lightning.{name}", raising=False)  # as in a fresh process
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"crack_lightning.{name}", run_name="__main__")
    assert ended.value.code == 0
    assert f"crack-lightning {name} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "usage", "lacks"),
    [
        ("predict", "predict [best.ckpt] [file, folder or pattern …] [key=value …] [-m]", "model=resnet18"),
        ("audit", "audit [folder] [key=value …] [-m]", "max_epochs=5"),
        ("compare", "compare [folder …] [key=value …] [--cfg job]", "-m"),
        ("train", "\n  hparams_search  cmaes random tpe\n", "[folder"),
        ("cache", "cache [list | clear]", "key=value"),
    ],
)
def test_help_tells_what_that_command_takes(
    command: str, usage: str, lacks: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help", *(["-m"] if command == "train" else [])]) == 0
    printed = capsys.readouterr().out
    assert usage in printed
    assert lacks not in printed
