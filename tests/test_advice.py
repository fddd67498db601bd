"""What an error tells a user to type is what the program takes."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hydra.conf import HydraConf
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from crack_lightning.cli.arguments import hydra_arguments
from crack_lightning.config import TrainConfig, compose_config, conf_dir, parse
from crack_lightning.config.commands import SCHEMAS
from crack_lightning.config.error_messages import schema_keys
from crack_lightning.config.nodes.data import data_node
from crack_lightning.data.discovery.class_names import name_classes
from crack_lightning.data.discovery.typed_class_names import read_class_names
from crack_lightning.data.sources import SOURCES
from crack_lightning.runtime.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    return parse(compose_config("train", hydra_arguments("train", typed)), TrainConfig)


def advised(error: Exception, key: str) -> list[str]:
    """What a shell makes of the override of a key that an error advises."""
    words = shlex.split(str(error)[re.search(rf"'?{re.escape(key)}=", str(error)).start() :])  # type: ignore[union-attr]
    return [words[0].rstrip(",.;")]


@pytest.mark.parametrize("folders", FOLDERS)
def test_the_advised_classes_are_those_of_the_folders_whatever_their_names(folders: Sequence[str]) -> None:
    with pytest.raises(DataError, match="it is not certain which of the folders") as told:
        name_classes(folders, class_names=None, positive_class="crack")
    typed = advised(told.value, "data.class_names")
    class_names = vars(configured("data=image_folder", "data.root=tiles", *typed).data)["class_names"]
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
    assert vars(given.data)["class_names"] == wanted


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


SOURCE = Path(__file__).parents[1] / "src" / "crack_lightning"
KEY = r"(?:[a-z][a-z_0-9]*[./])*[a-z][a-z_0-9]*"
ADVICE = re.compile(rf"'({KEY})=([^']*)'|(?<![\w./{{<\-%])({KEY})=(?![=>])([^\s,;)'\"|`]*)")
NO_ADVICE = {
    "data/sources/sdnet2018.py": {"filename"},  # an address
    "data/scan/file_table.py": {"journal_mode", "synchronous"},  # SQLite's
    "runtime/files/csv_files.py": {"sep"},
    "comparison/figures.py": {"pad"},
    "training/warning_filters.py": {"sync_dist"},  # Lightning's own words
    "cli/main.py": {"key"},
    "cli/arguments.py": {"key"},
    "cli/help.py": {"key", "group"},
    "config/nodes/sweep.py": {"other"},
    "sweep/search/space.py": {"key"},
    "model/heads/local.py": {"positive_index", "top_k_fraction"},  # of our own calls
    "data/splits/assign.py": {"folds"},
}


def texts(tree: ast.AST) -> Iterator[str]:
    """Every text of a module but its docstrings; what is filled in is an ellipsis."""
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare | parts:
            yield node.value


def all_advice() -> list[tuple[str, str, str]]:
    """File, key and value of every override that a text of ours shows."""
    found: dict[tuple[str, str, str], None] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        for text in texts(ast.parse(path.read_text(encoding="utf-8"))):
            for quoted_key, quoted_value, key, value in ADVICE.findall(text):
                if (quoted_key or key) not in NO_ADVICE.get(name, ()):
                    found[name, quoted_key or key, quoted_value or value.rstrip(".")] = None
    return list(found)


def schemas_of(key: str) -> list[type[Any]]:
    return [schema for schema in SCHEMAS.values() if key in dict(schema_keys(schema))]


def options_of(group: str) -> list[str]:
    return [path.stem for path in (conf_dir() / group).glob("*.yaml")]


def test_advice_is_found() -> None:
    keys = {key for _, key, _ in all_advice()}
    assert len(keys) > 50
    assert {"data.root", "model", "hydra/launcher", "resume", "optimizer.lr", "data.class_names"} <= keys


@pytest.mark.parametrize(("file", "key", "value"), all_advice())
def test_what_a_message_shows_names_keys_and_values_that_there_are(file: str, key: str, value: str) -> None:
    schemas, options = schemas_of(key), options_of(key)
    of_hydra = key.removeprefix("hydra.") in dict(schema_keys(HydraConf))
    assert schemas or options or of_hydra, f"{file}: there is no key {key}"
    if not value or re.search("[…<]", value):
        return
    [argument] = hydra_arguments("train", [f"{key}={value}"])
    override = OverridesParser.create().parse_override(argument)
    if options:
        assert value in options, f"{file}: {key} has no option {value}"
    elif schemas and not override.is_sweep_override():
        node = OmegaConf.structured(schemas[0])
        if key.startswith("data."):
            readers = (data_node(name) for name in SOURCES)
            node.data = next(one for one in readers if hasattr(one(), key.split(".")[1]))
        OmegaConf.update(node, key, override.value())
