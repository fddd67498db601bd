"""The table of files: damage, other processes, a full or read-only cache, `cache clear`."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.scan.description import Content
from crack_lightning.data.scan.file_table import FileTable, Stamp
from crack_lightning.data.scan.scan import ScanResult, scan_files
from crack_lightning.runtime.cache_contents import clear, entries
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STAMP = Stamp(size=1, modified_ns=2, changed_ns=3, inode=4)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty pictures, the last a copy of the first, which count as written long ago."""
    monkeypatch.setattr("crack_lightning.data.scan.file_table._SETTLED_NS", -(10**12))
    for number in range(20):
        noise = np.random.default_rng(number % 19).integers(0, 255, (9, 9, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).resize((64, 64), Image.Resampling.BICUBIC)
        picture.save(tmp_path / f"{number:02d}.png")
    return tmp_path


def scan(root: Path, cache: Path) -> ScanResult:
    names = np.array(sorted(path.name for path in root.glob("*.png")))
    return scan_files(
        root, names, near_duplicates=True, adjacent=True, num_workers=2, show_progress=False, cache=cache
    )


def table_file(cache: Path) -> Path:
    [path] = cache.glob("files/*/files.sqlite")
    return path


def same(one: ScanResult, other: ScanResult) -> bool:
    return all(
        np.array_equal(value, getattr(other, name), equal_nan=value.dtype.kind == "f")
        for name, value in vars(one).items()
    )


def damage_header(path: Path) -> None:
    path.write_bytes(b"no table" * 1000)


def damage_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for start in range(4096, len(content), 4096):
        content[start : start + 512] = rng.bytes(512)
    path.write_bytes(content)


def damage_values(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE contents SET width = 3, statistics = zeroblob(136) WHERE id % 2")
        connection.execute("UPDATE descriptors SET data = zeroblob(4544) WHERE id % 3 = 0")
        connection.execute("DELETE FROM descriptors WHERE id = 7")


def damage_schema(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE contents")
        connection.execute("CREATE TABLE contents (other INTEGER)")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "damage",
    [damage_header, damage_pages, damage_values, damage_schema, cut, empty],
    ids=lambda one: one.__name__,
)
def test_a_damaged_table_is_rebuilt(damage: Callable[[Path], None], root: Path) -> None:
    cache = root / "cache"
    first = scan(root, cache)
    shutil.rmtree(cache / "pairs")
    damage(table_file(cache))
    assert same(scan(root, cache), first)
    assert same(scan(root, cache), first)
    assert len(list(cache.glob("files/*/files.sqlite"))) == 1


def test_random_damage_is_never_believed(root: Path) -> None:
    cache = root / "cache"
    first = scan(root, cache)
    whole = table_file(cache).read_bytes()
    rng = np.random.default_rng(3)
    for _ in range(25):
        shutil.rmtree(cache / "pairs")
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.choice([1, 30])):
            damaged[place] = rng.integers(256)
        table_file(cache).write_bytes(damaged)
        assert same(scan(root, cache), first)


SCRIPT = """
import sys, numpy as np
from pathlib import Path
from crack_lightning.data.scan import file_table
from crack_lightning.data.scan.scan import scan_files
file_table._SETTLED_NS = -10**12
root = Path(sys.argv[1])
names = np.array(sorted(path.name for path in root.glob("*.png")))
for _ in range(5):
    scan = scan_files(root, names, near_duplicates=False, rescan=True, num_workers=2, show_progress=False,
                      cache=root / "cache")
print("".join(scan.sha256))
"""


def test_runs_at_once_neither_break_nor_block_one_another(root: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(root)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert {text.strip() for text in printed} == {"".join(scan(root, root / "cache").sha256)}


def test_threads_of_one_process_may_scan_at_once(root: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: scan(root, root / "cache"), range(4)))
    assert all(same(result, results[0]) for result in results)


def test_a_reader_is_not_blocked_while_another_process_writes(root: Path) -> None:
    cache = root / "cache"
    first = scan(root, cache)
    writer = sqlite3.connect(table_file(cache), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM files")
    assert same(scan(root, cache), first)
    writer.execute("ROLLBACK")
    writer.close()


def test_a_table_that_another_process_replaces_or_clears_is_used_to_the_end(tmp_path: Path) -> None:
    content = Content(b"d" * 32, 1, 2, "RGB", "", b"s" * 136, b"p" * 4544)
    with FileTable(tmp_path) as one:
        one.remember([(b"/a", STAMP, content.digest)], [content])
        with FileTable(tmp_path) as other:
            other.replace()
            assert other.lookup([b"/a"], [STAMP]) == [None]
            one.remember([(b"/b", STAMP, content.digest)], [content])
            [known] = one.lookup([b"/b"], [STAMP])
            assert known is not None
            assert known.content is not None
            assert clear(tmp_path, entries(tmp_path)) == []
            other.remember([(b"/c", STAMP, content.digest)], [content])
            assert other.lookup([b"/c"], [STAMP]) != [None]
    with FileTable(tmp_path) as third:
        assert third.lookup([b"/a", b"/b", b"/c"], [STAMP] * 3) == [None] * 3


def test_the_cache_lists_and_clears_the_table(root: Path) -> None:
    cache = root / "cache"
    scan(root, cache)
    assert {entry.parent.name for entry in entries(cache)} == {"files", "pairs"}
    clear(cache, entries(cache))
    assert entries(cache) == []
    assert scan(root, cache).reason.tolist() == [""] * 20


@pytest.mark.parametrize("change", STAMP._fields)
def test_a_file_of_another_stamp_is_unknown(change: str, tmp_path: Path) -> None:
    with FileTable(tmp_path) as table:
        table.remember([(b"/a\xff", STAMP, b"d" * 32)], [])
        [known] = table.lookup([b"/a\xff"], [STAMP])
        assert known is not None
        assert table.lookup([b"/a\xff"], [STAMP._replace(**{change: 9})]) == [None]
        assert table.lookup([b"/a\xff"], [None]) == [None]


def test_a_cache_that_cannot_be_written_is_named(root: Path) -> None:
    with pytest.raises(DataError, match=r"CRACK_LIGHTNING_CACHE: cannot write .*00\.png/cache' \(.*Not a"):
        scan(root, root / "00.png" / "cache")
