"""What the README and the option files tell people to type works."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from PIL import Image

from crack_lightning.cli.arguments import hydra_arguments
from crack_lightning.config import conf_dir, parse, register_schemas
from crack_lightning.config.commands import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterator

README = Path(__file__).parents[1] / "README.md"
COMMAND = re.compile(r"python -m crack_lightning\.(\w+)((?: [^#\n`]+)?)")


def commands() -> Iterator[tuple[str, str]]:
    """Every command in the README and in the heads of the option files, with the name of its file."""
    for path in (README, *sorted(conf_dir().rglob("*.yaml"))):
        for name, arguments in COMMAND.findall(path.read_text(encoding="utf-8")):
            if "<" not in arguments:
                yield name, arguments.strip()


def first_choice(override: str) -> str:
    """One of the values that a sweep is given; a list is one value."""
    return override if "[" in override else override.partition(",")[0]


@pytest.mark.parametrize(("name", "arguments"), sorted(set(commands())))
def test_a_documented_command_composes(name: str, arguments: str) -> None:
    register_schemas()
    overrides = [item for item in hydra_arguments(name, shlex.split(arguments)) if not item.startswith("-")]
    if "-m" in shlex.split(arguments):
        overrides = [first_choice(override) for override in overrides if "(" not in override]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        composed = compose(name, overrides=overrides)
    assert parse(composed, SCHEMAS[name])


def test_there_are_commands_to_check() -> None:
    assert len(set(commands())) > 30


def test_the_python_example_runs(tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "best.ckpt").write_bytes((run / "checkpoints" / "best.ckpt").read_bytes())
    Image.fromarray(np.full((60, 60, 3), 128, dtype=np.uint8)).save("photo.jpg")
    example = doctest.DocTestParser().get_doctest(
        README.read_text(encoding="utf-8"), {}, "README", str(README), 0
    )
    assert example.examples
    outcome = doctest.DocTestRunner().run(example)
    assert outcome.failed == 0
