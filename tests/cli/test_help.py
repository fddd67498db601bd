"""``--help`` explains every key of a command, and the options of its groups."""

from __future__ import annotations

import pytest

from crack_lightning.cli.main import main
from crack_lightning.config import conf_dir
from crack_lightning.config.commands import COMMANDS, SCHEMAS
from crack_lightning.config.conf_files import option_groups, option_purposes
from crack_lightning.config.keys import Key, described_keys
from crack_lightning.config.nodes.data import data_node
from crack_lightning.data.sources import SOURCES


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def words(text: str) -> str:
    return " ".join(text.replace("`", "").split())


def keys_of(command: str, source: str = "synthetic") -> list[Key]:
    return list(described_keys(SCHEMAS[command], nodes={"data": data_node(source)}))


@pytest.mark.parametrize(
    ("command", "source"),
    [*((name, "synthetic") for name in SCHEMAS), *(("train", name) for name in SOURCES)],
)
def test_every_key_has_a_meaning(command: str, source: str) -> None:
    keys = keys_of(command, source)
    assert len({key.name for key in keys}) == len(keys) > 1
    for key in keys:
        assert key.meaning.endswith("."), f"{key.name} has no sentence"
        assert key.meaning.count("`") % 2 == 0, key.name
        assert key.is_node or key.values, key.name


@pytest.mark.parametrize("command", SCHEMAS)
def test_help_shows_every_key_with_its_meaning_and_values(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, command, "--help")
    assert max(map(len, text.splitlines())) <= 100
    assert COMMANDS[command].example in text
    shown = words(text)
    for key in keys_of(command):
        assert words(key.meaning) in shown
        assert (
            f"{key.name}: " in shown if key.is_node else f" {key.name}=" in shown or f"{key.name}:" in shown
        )
        assert words(key.values) in shown


def test_help_leaves_out_what_the_command_does_not_read(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "evaluate", "--help")
    assert "  trainer.threads=null  (whole number at least 1, or null)\n" in text
    assert "trainer.max_epochs" not in text
    assert "data.split" not in text
    assert "data.sampler" not in text
    assert "sweep.jobs=1" in text


def test_the_keys_of_data_are_those_of_the_chosen_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert "  data.root=tiles  (path, or null)\n" in printed(capsys, "audit", "--help", "tiles")
    assert "data.root" not in printed(capsys, "audit", "--help")


def test_the_values_are_those_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "train", "--help", "trainer=smoke", "model=plain_cnn", "resume=it's (1)")
    for line in (
        "trainer.max_epochs=2",
        "model.image_size=256",
        "resume=it's (1)",
        "sweep.objectives=[val/loss]",
    ):
        assert f"  {line}  (" in text
    assert "\n      callbacks.early_stopping.patience=4\n" in text
    assert "\n  runs=…  (required; " in printed(capsys, "compare", "--help")


@pytest.mark.parametrize("arguments", [["--help", "model"], ["model=?"], ["model=?", "--help"]])
def test_the_options_of_a_group_are_told_in_a_line_each(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, "train", *arguments)
    for option in option_groups("train")["model"]:
        first = (conf_dir() / f"model/{option}.yaml").read_text(encoding="utf-8").partition("\n")[0]
        assert f"{option} {first.removeprefix('# ')}" in words(text)
    assert ("model.image_size=96" in text) == (arguments == ["--help", "model"])
    assert "trainer." not in text


@pytest.mark.parametrize(
    ("topic", "told"),
    [
        ("hydra/launcher", "slurm Jobs on SLURM through submitit"),
        ("experiment", "transfer Cracks on concrete that was never seen"),
        ("sweep", "sweep.jobs=1"),
        ("recipe.loss", "recipe.loss.focal_gamma=2.0 (number at least 0)"),
    ],
)
def test_other_nodes_and_groups_have_help_too(
    topic: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in words(printed(capsys, "train", "--help", topic))


def test_every_option_says_what_it_is() -> None:
    for group in option_groups("train"):
        for option, purpose in option_purposes(group).items():
            assert purpose.endswith("."), f"{group}/{option}"
            assert not purpose.startswith(("#", "@")), f"{group}/{option}"


def test_a_wrong_topic_or_setting_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help", "modle"]) == 2
    assert "'modle': expected key=value" in capsys.readouterr().err
    assert main(["train", "--help", "model.lr=3"]) == 2
    assert "model.lr: no such key; did you mean optimizer.lr" in capsys.readouterr().err
