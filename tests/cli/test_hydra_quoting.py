"""What is typed as a path or a text is what the configuration holds, in every command."""

from __future__ import annotations

import random
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from crack_lightning.cli.arguments import hydra_arguments, shell_line
from crack_lightning.cli.hydra_quoting import TEXT_KEYS
from crack_lightning.config import (
    TrainConfig,
    compose_config,
    parse,
    resumed_config,
    write_config,
)
from crack_lightning.config.commands import SCHEMAS
from crack_lightning.config.error_messages import schema_keys
from crack_lightning.config.literals import all_escaped
from crack_lightning.runtime.errors import CrackLightningError
from crack_lightning.runtime.files.paths import expand_user

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTILE = [
    "site (1)",
    "dir\\",
    "dir\\\\",
    "a\\'b",
    'a\\"b',
    "it's",
    "'only one",
    "[1]",
    "[a, b",
    "{a: b}",
    "a=b",
    "a==",
    "x#y",
    "~home",
    "~/photos",
    "$HOME",
    "${a}",
    "${a.b}/${",
    "\\${a}",
    "$${a}\\",
    "a,b",
    "a, b",
    ",",
    "C:\\tiles\\",
    "a:b",
    "Öl Riß 裂缝 😀",
    "two\nlines",
    "\ttab ",
    "-x",
    "+x",
    "@x",
    "true",
    "No",
    "1e3",
    "0x10",
    "007",
    "1_000",
    "nan",
    "tag(log, a)",
    "choice(a",
    "a|b & c; d > e * ? !",
    "%20",
    "\udcff.jpg",
]
CHARACTERS = "a1e.\\\\''\"\"$${}, =:[]()~+-@#%*?!|&;<>\n\tü裂😀\udcff"
NEEDS = {"evaluate": ["checkpoint=a"], "predict": ["checkpoint=a"]}


def drawn_texts(seed: int, number: int) -> Iterator[str]:
    """Texts of hostile characters that are neither a list nor in quotes as a whole."""
    draw = random.Random(seed)
    for _ in range(number):
        text = "".join(draw.choices(CHARACTERS, k=draw.randint(1, 9)))
        if text[0] not in "'\"[":
            yield text


def batched(texts: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(texts), size):
        yield texts[start : start + size]


def path_keys(command: str) -> list[str]:
    keys = dict(schema_keys(SCHEMAS[command]))
    return [key for key in TEXT_KEYS if key in keys and key != "data.class_names"]


def composed(command: str, *arguments: str) -> Any:
    """The configuration of a command line, as plain values."""
    given = hydra_arguments(command, [*NEEDS.get(command, []), *arguments])
    return OmegaConf.to_container(compose_config(command, given), resolve=True)


def value_of(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config[part]
    return config


@pytest.mark.parametrize("command", sorted(SCHEMAS))
def test_every_path_that_is_typed_is_what_the_configuration_holds(command: str) -> None:
    keys = path_keys(command)
    texts = [*HOSTILE, *drawn_texts(seed=len(command), number=20)]
    for some in batched(texts, len(keys)):
        config = composed(command, *(f"{key}={text}" for key, text in zip(keys, some, strict=False)))
        for key, text in zip(keys, some, strict=False):
            held = value_of(config, key)
            is_list = isinstance(held, list) and text.startswith("[") and text.endswith("]")
            assert is_list or held in (text, [text]), f"{key}={text!r}"


def test_no_text_is_changed_by_the_grammar_of_overrides() -> None:
    parser = OverridesParser.create()
    for text in drawn_texts(seed=1, number=3000):
        [override] = hydra_arguments("train", [f"data.root={text}"])
        node = OmegaConf.create({"root": parser.parse_override(override).value()})
        assert OmegaConf.to_container(node, resolve=True) == {"root": text}
        assert shlex.split(shell_line("train", [override]))[3:] == [f"data.root={text}"]


def test_paths_of_several_sources_are_taken_as_they_are() -> None:
    names = [f"{name}{number}" for number, name in enumerate(("my-set", "a", "set_") * 20)]
    texts = dict(zip(names, HOSTILE, strict=False))
    given = ", ".join(f"{name}: {{source: image_folder, root: x}}" for name in texts)
    typed = [f"data.sources.{name}.root={text}" for name, text in texts.items()]
    config = composed("train", "data=mixed", f"data.sources={{{given}}}", *typed)
    assert {name: part["root"] for name, part in config["data"]["sources"].items()} == texts
    data: Any = parse(OmegaConf.create(all_escaped(config)), TrainConfig).data
    assert {name: part.root for name, part in data.parts().items()} == {
        name: expand_user(text) for name, text in texts.items()
    }


def test_a_path_survives_the_check_and_the_file_of_a_configuration(tmp_path: Path) -> None:
    plain = composed("train", "data=image_folder", "data.root=x")
    asked = parse(OmegaConf.create(composed("train")), TrainConfig)
    for text in filter(str.isprintable, HOSTILE):
        plain["outputs"] = plain["data"]["root"] = text
        write_config(parse(OmegaConf.create(all_escaped(plain)), TrainConfig), tmp_path / "config.yaml")
        read = resumed_config(tmp_path, current=asked, overrides=[])
        assert (read.outputs, vars(read.data)["root"]) == (expand_user(text), expand_user(text))


def test_plain_paths_are_what_the_configuration_holds() -> None:
    assert composed("compare", "--", *HOSTILE)["runs"] == HOSTILE
    pictures = [text for text in HOSTILE if not text.endswith(".pt")]
    assert composed("predict", "--", *pictures)["source"] == pictures
    assert shlex.split(shell_line("compare", hydra_arguments("compare", ["--", *pictures])))[3:] == [
        f"./{text}" if text.startswith("-") else text for text in pictures
    ]
    for text in HOSTILE[:6]:
        assert composed("audit", "--", text)["data"]["root"] == text


def test_several_jobs_get_each_of_several_paths() -> None:
    given = "data.root=a (1),1e3,'b, c',true,d"
    [_, argument] = hydra_arguments("train", ["-m", given])
    override = OverridesParser.create().parse_override(argument)
    jobs = [f"data.root={value}" for value in override.sweep_string_iterator()]
    held = [OverridesParser.create().parse_override(job).value() for job in jobs]
    assert held == ["a (1)", "1e3", "b, c", "true", "d"]


def test_what_is_quoted_or_a_list_already_stays_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listed = composed("predict", "source=[a b.jpg, 'c, d.jpg',1e3,x[1].jpg]")["source"]
    assert listed == ["a b.jpg", "c, d.jpg", "1e3", "x[1].jpg"]
    assert composed("train", "data.root='my \\'tiles\\''")["data"]["root"] == "my 'tiles'"
    (tmp_path / "[1, 2]").touch()
    (tmp_path / "'q'").touch()
    assert composed("predict", "source=[1, 2]")["source"] == ["[1, 2]"]
    assert composed("train", "data.root='q'")["data"]["root"] == "'q'"


def test_null_unsets_a_path_unless_a_file_has_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert composed("train", "data.root=null")["data"]["root"] is None
    assert composed("train", "data.root=./null")["data"]["root"] == "./null"
    (tmp_path / "null").mkdir()
    assert composed("train", "data.root=null")["data"]["root"] == "null"
    assert composed("train", "data.root=???")["data"]["root"] == "./???"


def test_a_resolver_in_a_path_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRATCH", "/big (1)")
    assert composed("train", "outputs=${oc.env:SCRATCH}/${a}")["outputs"] == "/big (1)/${a}"


@pytest.mark.parametrize("key", ["data.root", "+data.root", "source", "resume", "hydra.run.dir"])
def test_a_path_without_text_is_refused(key: str) -> None:
    with pytest.raises(CrackLightningError, match=rf"^{re.escape(key)}: a text is expected, got none"):
        hydra_arguments("predict", [f"{key}="])


def test_a_file_is_told_from_an_override(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("site=1", "seed=1", "source=x"):
        (tmp_path / folder).mkdir()
    keys = ["source", "checkpoint", "trainer"]
    for path in ("site=1", "site=*/*.jpg", "site=1/none.jpg", "si*=1/**/*.png", "seed=1", "~/a=b.jpg", "~/x"):
        assert hydra_arguments("predict", [path], keys=keys) == [f"source=['{path}']"]
    for override in ("seed=2", "trainer=cpu", "source=x", "~trainer", "hydra.verbose=true"):
        assert "source=['" + override not in hydra_arguments("predict", [override], keys=keys)[0]
    assert hydra_arguments("train", ["seed=1"]) == ["seed=1"]
    (tmp_path / "-x=1.jpg").touch()
    assert hydra_arguments("predict", ["-x=1.jpg"]) == ["source=['-x=1.jpg']"]


def test_files_are_taken_as_they_are_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("site (1)/a.jpg", "a=b.jpg", "x#y.jpg", "it's.jpg", "~home.jpg", "Öl 裂缝.jpg", "[1].jpg"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
        config = composed("predict", "model (2).ckpt", path)
        assert (config["checkpoint"], config["source"]) == ("model (2).ckpt", [path])


@pytest.mark.parametrize("name", ["best.pt", "BEST.CKPT", "last.pth", "head.safetensors", "model.h5"])
def test_a_network_is_known_by_whatever_suffix_it_has(name: str) -> None:
    assert hydra_arguments("predict", [name, "a.jpg"]) == [f"checkpoint='{name}'", "source=['a.jpg']"]


def test_the_standard_input_is_said_not_to_be_read() -> None:
    with pytest.raises(CrackLightningError, match=r"^'-': files, .* got the standard input, which is"):
        hydra_arguments("predict", ["checkpoint=builtin", "-"])
