"""An entry is made once, whole, by one process, and made anew when it is no longer what it was."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from crack_lightning.cli.main import main
from crack_lightning.runtime.cache import cached_entry, is_cached
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

MADE_OF = {"seed": 3, "names": ["a", "b"]}


class Maker:
    """Writes two files and counts how often it is asked."""

    def __init__(self, *, seconds: float = 0) -> None:
        self.calls, self.seconds = 0, seconds

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        (folder / "deep").mkdir()
        (folder / "deep" / "one.bin").write_bytes(b"12345")
        time.sleep(self.seconds)
        (folder / "two.txt").write_text("two", encoding="utf-8")


def test_an_entry_is_made_once_and_says_what_made_it(tmp_path: Path) -> None:
    make = Maker()
    assert not is_cached("things", MADE_OF, cache=tmp_path)
    entry = cached_entry("things", MADE_OF, make, cache=tmp_path)
    assert cached_entry("things", MADE_OF, make, cache=tmp_path) == entry
    assert is_cached("things", MADE_OF, cache=tmp_path)
    assert make.calls == 1
    sealed = json.loads((entry / "made_of.json").read_text(encoding="utf-8"))
    assert sealed == {"made_of": MADE_OF, "holds": {".": [1, 3], "deep": [1, 5]}}
    assert cached_entry("things", MADE_OF | {"seed": 4}, make, cache=tmp_path) != entry


@pytest.mark.parametrize("damage", ["cut", "gone", "more", "seal"])
def test_a_damaged_entry_is_made_again(damage: str, tmp_path: Path) -> None:
    make = Maker()
    entry = cached_entry("things", MADE_OF, make, cache=tmp_path)
    if damage == "cut":
        (entry / "deep" / "one.bin").write_bytes(b"123")
    elif damage == "gone":
        (entry / "two.txt").unlink()
    elif damage == "more":
        (entry / "deep" / "three").write_bytes(b"")
    else:
        (entry / "made_of.json").write_text("{", encoding="utf-8")
    cached_entry("things", MADE_OF, make, cache=tmp_path)
    assert make.calls == 2
    assert (entry / "deep" / "one.bin").read_bytes() == b"12345"


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_bytes(b"1")
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        cached_entry("things", MADE_OF, fail, cache=tmp_path)
    assert [path for path in (tmp_path / "things").iterdir() if path.is_dir()] == []


def test_two_that_ask_at_once_share_one_making(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make = Maker(seconds=1.0)
    caplog.set_level("INFO")
    asking = [
        threading.Thread(target=cached_entry, args=("things", MADE_OF, make), kwargs={"cache": tmp_path})
        for _ in range(2)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert make.calls == 1
    assert "another process is writing" in caplog.text


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "things").write_text("a file", encoding="utf-8")
    with pytest.raises(DataError, match=r"CRACK_LIGHTNING_CACHE: cannot write things to .*things"):
        cached_entry("things", MADE_OF, Maker(), cache=tmp_path)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CRACK_LIGHTNING_CACHE", str(tmp_path))
    return tmp_path


def test_the_cache_is_listed_and_cleared(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:

    def make(folder: Path) -> None:
        (folder / "x").write_bytes(bytes(2**20))

    entry = cached_entry("synthetic", MADE_OF, make, cache=cache)
    (entry.parent / f".{entry.name}.x1y2.part").mkdir()
    assert main(["cache"]) == 0
    assert f"1.0 MiB  synthetic/{entry.name}" in capsys.readouterr().out
    assert main(["cache", "clear"]) == 0
    assert "cleared 1.0 MiB in 1 entries" in capsys.readouterr().out
    assert not list(cache.iterdir())
    assert main(["cache", "purge"]) == 2
    assert "expected list or clear, got 'purge'" in capsys.readouterr().err


def test_clearing_the_cache_spares_what_is_not_of_the_cache(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = cached_entry("features", MADE_OF, Maker(), cache=cache)
    own = [cache / "thesis.tex", cache / "photos" / "2026" / "a.jpg", cache / "features" / ".note"]
    for path in own:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine", encoding="utf-8")
    assert main(["cache", "clear"]) == 0
    assert f"in 1 entries under {cache}" in capsys.readouterr().out
    assert not entry.exists()
    assert sorted(path for path in cache.rglob("*") if path.is_file()) == sorted(own)


def note(path: Path, content: object) -> Path:
    path.mkdir(parents=True)
    for name in ("entry.json", "made_of.json"):
        (path / name).write_text(json.dumps(content), encoding="utf-8")
    (path / "thesis.tex").write_text("mine", encoding="utf-8")
    return path


def test_a_folder_in_use_loses_nothing_whatever_notes_lie_in_it(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = cached_entry("features", MADE_OF, Maker(), cache=cache.with_name("elsewhere"))
    names = ("diary", elsewhere.name, "0" * 20, f"metu-{'0' * 16}")
    contents: tuple[object, ...] = ({}, [], {"made_of": 3}, {"made_of": {"seed": 3}}, "x")
    mine = [
        note(cache / f"work{kind}" / name, content) for kind, content in enumerate(contents) for name in names
    ]
    mine += [note(cache / "published" / name, contents[0]) for name in names]
    (cache / "features").mkdir()
    (cache / "features" / elsewhere.name).symlink_to(elsewhere, target_is_directory=True)
    for name in (".lock", ".env.part", ".profile.lock"):
        (cache / "features" / name).write_text("mine", encoding="utf-8")
    before = sorted(cache.rglob("*"))
    assert main(["cache", "clear"]) == 0
    assert "cleared 0.0 MiB in 0 entries" in capsys.readouterr().out
    assert sorted(cache.rglob("*")) == before
    assert (elsewhere / "two.txt").is_file()


def test_what_another_process_is_making_stays(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = cached_entry("features", MADE_OF, Maker(), cache=cache)
    other = cached_entry("features", MADE_OF | {"seed": 9}, Maker(), cache=cache)
    part = entry.with_name(f".{entry.name}.x1.part")
    part.mkdir()
    left = entry.with_name(f".{'a' * 20}.x2.part")
    left.mkdir()
    with FileLock(entry.with_name(f".{entry.name}.lock")):
        assert main(["cache", "clear"]) == 0
        printed = capsys.readouterr().out
        assert f"left 1 that other processes are writing: {entry}" in printed
        assert "in 1 entries" in printed
        assert sorted(path.name for path in entry.parent.iterdir()) == sorted(
            [f".{entry.name}.lock", part.name, entry.name]
        )
    assert not other.exists()
    assert main(["cache", "clear"]) == 0
    assert not list(cache.iterdir())


def test_a_published_set_is_removed_unless_it_is_being_unpacked(cache: Path) -> None:
    written = json.dumps({"data_set": "metu"})
    digest = hashlib.sha256(written.encode()).hexdigest()[:16]
    entry = cache / "published" / f"metu-{digest}"
    (entry / "files").mkdir(parents=True)
    (entry / "entry.json").write_text(written + "\n", encoding="utf-8")
    with FileLock(entry / ".files.lock"):
        assert main(["cache", "clear"]) == 0
        assert (entry / "files").is_dir()
    assert main(["cache", "clear"]) == 0
    assert not list(cache.iterdir())
