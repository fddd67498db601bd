"""One rule for paths that are given, and one for places that are written to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from crack_lightning import load
from crack_lightning.config.text_keys import expand_paths
from crack_lightning.inference.inputs import named_pictures
from crack_lightning.runtime.errors import CheckpointError
from crack_lightning.runtime.files.paths import (
    expand_user,
    name_key,
    output_paths,
    portable_name,
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def test_a_tilde_is_the_home_folder_unless_a_file_is_called_so(home: Path) -> None:
    assert expand_user("~/tiles") == str(home / "tiles")
    assert expand_user("~") == str(home)
    assert expand_user("~root/x").endswith("/x")
    assert not expand_user("~root/x").startswith("~")
    assert expand_user("~nobody-has-this-name.jpg") == "~nobody-has-this-name.jpg"
    assert expand_user("a/~/b") == "a/~/b"
    assert expand_user("$HOME/${o}.jpg") == "$HOME/${o}.jpg"
    Path("~").mkdir()
    assert expand_user("~") == "~"


def test_load_reads_a_path_as_the_commands_do(home: Path) -> None:
    with pytest.raises(CheckpointError, match=f"'{home}/best.ckpt'"):
        load("~/best.ckpt")
    assert next(named_pictures("~/a.jpg")).content == home / "a.jpg"


def test_every_key_of_a_path_is_expanded_and_no_other(home: Path) -> None:
    settings: dict[str, Any] = {
        "outputs": "~/runs",
        "source": ["~/a.jpg", "b.jpg"],
        "data": {
            "root": "~/tiles",
            "group_pattern": "~/(x)",
            "sources": {"a": {"root": "~/one"}},
            "split": {"file": "~/s.csv"},
        },
        "model": {"weights": "~/w.pth", "name": "~/no"},
    }
    at_home = {
        "outputs": f"{home}/runs",
        "source": [f"{home}/a.jpg", "b.jpg"],
        "data": {
            "root": f"{home}/tiles",
            "group_pattern": "~/(x)",
            "sources": {"a": {"root": f"{home}/one"}},
            "split": {"file": f"{home}/s.csv"},
        },
        "model": {"weights": f"{home}/w.pth", "name": "~/no"},
    }
    assert expand_paths(settings) == at_home


@pytest.mark.parametrize(
    "files",
    [
        ["../../a/x.jpg", "b/y.jpg"],
        ["../x.jpg", "x.jpg", "../../x.jpg"],
        ["/etc/x.jpg", "x.jpg"],
        ["a/../../x.jpg"],
        ["C:x.jpg", "D:\\x.jpg", "\\\\host\\share\\x.jpg"],
    ],
)
def test_places_lie_in_the_folder_however_the_files_are_given(files: list[str], home: Path) -> None:
    folder = home / "out" / "maps"
    found = output_paths([Path(file) for file in files], folder)
    assert len(set(found)) == len(files)
    for place in found:
        assert Path(os.path.normpath(place)).is_relative_to(folder)


def test_places_keep_the_folders_below_the_common_one(home: Path) -> None:
    assert output_paths([Path("a/x.jpg"), Path("a/b/y.jpg")], Path("out")) == [
        Path("out/x.jpg"),
        Path("out/b/y.jpg"),
    ]
    assert output_paths([], Path("out")) == []


def test_places_that_some_systems_take_for_one_differ(home: Path) -> None:
    names = [
        "Wand.jpg",
        "wand.jpg",
        "WAND.JPG",
        "Stra\u00dfe.jpg",
        "strasse.jpg",
        "\u00fc.jpg",
        "u\u0308.jpg",
        "a?.jpg",
        "a*.jpg",
    ]
    found = output_paths([Path(name) for name in names], Path("out"))
    assert len({name_key(str(place)) for place in found}) == len(names)
    assert found[:2] == [Path("out/Wand.jpg"), Path("out/wand_2.jpg")]


@pytest.mark.parametrize(
    "name",
    [
        *("CON", "nul.jpg", "COM1.tar.jpg", "a:b.jpg", "end.", "end ", "tab\tnewline\n.jpg"),
        *("\udcfc.jpg", 'q?*<>|".jpg', "\u00fc" * 127, "x" * 255, "\u6f22" * 85),
    ],
)
def test_a_portable_name_is_one_on_windows_and_leaves_room_for_an_ending(name: str) -> None:
    made = portable_name(name)
    assert len(f".{made}.explained.jpg.12345678.part".encode()) <= 255
    assert not set(made) & set('<>:"|?*\\/\n\t')
    assert made.split(".")[0].casefold() not in {"con", "nul", "com1"}
    assert made[-1] not in ". "


def test_long_names_that_begin_alike_stay_apart() -> None:
    assert portable_name("x" * 250 + "1.jpg") != portable_name("x" * 250 + "2.jpg")
    assert portable_name("x" * 250 + "1.jpg").endswith(".jpg")
