"""What an error tells a user to type is what the program takes."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest
from hydra import compose, initialize_config_dir

from crack_lightning.command_line import hydra_arguments
from crack_lightning.config import TrainConfig, conf_dir, parse, register_schemas
from crack_lightning.config.class_names import read_class_names
from crack_lightning.data.sources.class_names import name_classes
from crack_lightning.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDERS = [
    ("0", "1"),
    ("00", "01"),
    ("False", "True"),
    ("true", "false"),
    ("null", "~"),
    ("1e3", "1000.0"),
    ("Crack (wide), 2mm", "wall"),
    ("heil", "Rissgefüge"),
    ("裂缝", "墙"),
    ("a: b", "c:d"),
    ("it's", 'say "no"'),
    ("{a}", "[b]"),
    (" padded ", "padded"),
    ("${a}", "a=b"),
    ("-x", "+y\\"),
]


def configured(*typed: str) -> TrainConfig:
    """The checked configuration of a command line."""
    register_schemas()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return parse(compose("train", overrides=hydra_arguments("train", typed)), TrainConfig)


def advised(error: Exception, key: str) -> list[str]:
    """What a shell makes of the override of a key that an error advises."""
    words = shlex.split(str(error)[re.search(rf"'?{re.escape(key)}=", str(error)).start() :])  # type: ignore[union-attr]
    return [words[0].rstrip(",.;")]


@pytest.mark.parametrize("folders", FOLDERS)
def test_the_advised_classes_are_those_of_the_folders_whatever_their_names(folders: Sequence[str]) -> None:
    with pytest.raises(DataError, match="it is not certain which of the folders") as told:
        name_classes(folders, class_names=None, positive_class="crack")
    typed = advised(told.value, "data.class_names")
    class_names = configured("data=image_folder", "data.root=tiles", *typed).data.class_names
    first, second = sorted(folders)
    found = name_classes(folders, class_names=class_names, positive_class="crack")
    assert found == {first: "crack", second: "intact"}


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("{0: intact, 1: crack}", {"0": "intact", "1": "crack"}),
        ("{False:intact,True:crack}", {"False": "intact", "True": "crack"}),
        (
            "{Crack (wide), 2mm: crack, No Crack: intact}",
            {"Crack (wide), 2mm": "crack", "No Crack": "intact"},
        ),
        ("{'a, b: c': 'crack', \"d\": intact}", {"a, b: c": "crack", "d": "intact"}),
        ("{A: crack, B: intact, C: spalling}", {"A": "crack", "B": "intact", "C": "spalling"}),
    ],
)
def test_classes_are_read_as_they_are_typed(typed: str, wanted: dict[str, str]) -> None:
    given = configured("data=image_folder", "data.root=tiles", f"data.class_names={typed}")
    assert given.data.class_names == wanted


@pytest.mark.parametrize(
    "wrong", ["crack", "{crack}", "{}", "{a: }", "[a, b]", {"a": None}, {"a": {"b": "c"}}]
)
def test_what_names_no_class_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"expected {{folder: class, …}}, got {wrong!r}.")):
        read_class_names(wrong)


def test_classes_of_an_option_file_may_look_like_numbers_and_truth_values() -> None:
    class_names = read_class_names({0: "intact", True: "crack"})
    found = name_classes(["0", "true"], class_names=class_names, positive_class="crack")
    assert found == {"0": "intact", "true": "crack"}
