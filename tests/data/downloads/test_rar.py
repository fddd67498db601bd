from __future__ import annotations

import os
import shutil
import stat
import subprocess
import zlib
from typing import TYPE_CHECKING

import pytest

from crack_lightning.data.downloads import archive as archive_module, rar
from crack_lightning.data.downloads.archive import unpack
from crack_lightning.data.downloads.archive_readers import archive_kind
from tests.data.archives import make_zip, refuse, tree

if TYPE_CHECKING:
    from pathlib import Path

TILES = {
    "Positive/00001.jpg": bytes(range(256)) * 500,
    "Negative/two words.jpg": b"intact",
    "empty [1]*?.txt": b"",
    "a/empty [1]*?.txt": b"full",
}
LINK_TO_PASSWD = b"\x05\x01\x00\x0b/etc/passwd"
AES_WITH_EMPTY_SALT = b"\x01\x00\x00\x0f" + bytes(32)

needs_tool = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("bsdtar", "unar", "unrar")),
    reason="no program that reads RAR is here",
)


def vint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def block(body: bytes, data: bytes = b"") -> bytes:
    sized = vint(len(body)) + body
    return zlib.crc32(sized).to_bytes(4, "little") + sized + data


def file_block(name: str, content: bytes, *, crc: int | None = None, extra: bytes = b"") -> bytes:
    """Write a stored file's block: RAR 5.0 archive format, rarlab.com/technote.htm."""
    record = vint(len(extra)) + extra if extra else b""
    body = vint(2) + vint(0x02 | bool(extra)) + (vint(len(record)) if extra else b"") + vint(len(content))
    body += vint(0x04) + vint(len(content)) + vint(0o644 | stat.S_IFREG)
    body += (zlib.crc32(content) if crc is None else crc).to_bytes(4, "little")
    body += vint(0) + vint(1) + vint(len(name.encode())) + name.encode() + record
    return block(body, content)


def folder_block(name: str) -> bytes:
    body = vint(2) + vint(0x02) + vint(0) + vint(0x01) + vint(0) + vint(0o755 | stat.S_IFDIR)
    return block(body + vint(0) + vint(1) + vint(len(name)) + name.encode())


def make_rar(path: Path, *blocks: bytes) -> Path:
    main, end = block(vint(1) + vint(0) + vint(0)), block(vint(5) + vint(0) + vint(0))
    path.write_bytes(b"Rar!\x1a\x07\x01\x00" + main + b"".join(blocks) + end)
    return path


def make_tiles(path: Path) -> Path:
    return make_rar(path, folder_block("Positive"), *(file_block(name, tile) for name, tile in TILES.items()))


def fake_tool(folder: Path, name: str, output: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``name`` a program that prints ``output`` whatever it is asked."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.out").write_bytes(output)
    program = folder / name
    program.write_text(f"#!/bin/sh\necho 'a complaint' >&2\ncat '{folder / name}.out'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.skipif(not shutil.which("bsdtar"), reason="bsdtar is not here")
def test_the_archives_of_these_tests_are_right_for_another_program(tmp_path: Path) -> None:
    archive = make_tiles(tmp_path / "tiles.rar")
    (tmp_path / "out").mkdir()
    subprocess.run(["bsdtar", "-x", "-f", archive, "-C", tmp_path / "out"], check=True)  # noqa: S607
    assert tree(tmp_path / "out") == TILES


@needs_tool
@pytest.mark.parametrize("_", range(5))  # what bsdtar makes of an empty file differs from run to run
def test_a_rar_comes_out_as_it_went_in(tmp_path: Path, _: int) -> None:
    archive = make_tiles(tmp_path / "file_downloaded")
    assert tree(unpack(archive, tmp_path / "out", show_progress=False)) == TILES


@needs_tool
def test_mendeleys_zip_around_the_rar_is_opened_too(tmp_path: Path) -> None:
    tiles = make_tiles(tmp_path / "x").read_bytes()
    archive = make_zip(tmp_path / "a.zip", {"Concrete Crack Images for Classification.rar": tiles})
    assert tree(unpack(archive, tmp_path / "out", show_progress=False)) == TILES


@needs_tool
def test_a_zip_in_a_rar_is_opened_too(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "x", TILES).read_bytes()
    note = file_block("note.txt", b"keeps the zip's end from the archive's end, where bsdtar looks" * 999)
    archive = make_rar(tmp_path / "outer.rar", file_block("in ner.zip", inner), note)
    assert TILES.items() <= tree(unpack(archive, tmp_path / "out", show_progress=False)).items()


def test_without_a_program_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    refuse(
        make_tiles(tmp_path / "tiles.rar"),
        r"'tiles\.rar' is a RAR archive and none of unrar, .*bsdtar is installed.*apt install "
        r"libarchive-tools.*unpack it by hand and set data\.root=",
    )


@pytest.mark.skipif(os.name != "posix", reason="the stand-ins are shell scripts")
def test_a_program_that_fails_hands_over_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = TILES.values()
    whole = b"".join(TILES.values())
    fake_tool(tmp_path / "bin", "unrar", first + b"in", monkeypatch)
    fake_tool(tmp_path / "bin", "7zz", whole.replace(b"intact", b"INTACT"), monkeypatch)
    fake_tool(tmp_path / "bin", "7z", whole, monkeypatch)
    monkeypatch.setattr(rar, "_COMMANDS", {name: rar._COMMANDS[name] for name in ("unrar", "7zz", "7z")})
    archive = make_tiles(tmp_path / "tiles.rar")
    assert tree(unpack(archive, tmp_path / "out", show_progress=False)) == TILES


@pytest.mark.skipif(os.name != "posix", reason="the stand-ins are shell scripts")
@pytest.mark.parametrize(
    ("output", "said"),
    [
        (b"", r"unrar: 'Positive/00001\.jpg' came out short, a complaint"),
        (bytes(200_000), r"unrar: 'Positive/00001\.jpg' came out changed, a complaint"),
        (b"".join(TILES.values()) + b"more", "unrar: more came out than the archive lists"),
    ],
)
def test_what_no_program_can_deliver_is_refused_with_the_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: bytes, said: str
) -> None:
    (tmp_path / "work").mkdir()
    fake_tool(tmp_path / "bin", "unrar", output, monkeypatch)
    monkeypatch.setattr(rar, "_COMMANDS", {"unrar": rar._COMMANDS["unrar"]})
    refuse(make_tiles(tmp_path / "work" / "tiles.rar"), rf"{said}.*data\.root=")


@needs_tool
@pytest.mark.parametrize(
    "name", ["../evil.jpg", "/etc/evil.jpg", "C:/evil.jpg", "a/../../evil.jpg", "..\\evil.jpg"]
)
def test_a_rar_that_points_outside_is_refused_by_name(tmp_path: Path, name: str) -> None:
    archive = make_rar(tmp_path / "a.rar", file_block("good.jpg", b"1"), file_block(name, b"2"))
    refuse(archive, r"'a\.rar' holds '.*evil\.jpg', which points outside the folder")


@needs_tool
def test_a_link_in_a_rar_is_refused_by_name(tmp_path: Path) -> None:
    refuse(
        make_rar(tmp_path / "a.rar", file_block("trap", b"", extra=LINK_TO_PASSWD)), "holds the link 'trap'"
    )


@needs_tool
def test_an_encrypted_rar_is_named(tmp_path: Path) -> None:
    archive = make_rar(tmp_path / "secret.rar", file_block("a.jpg", b"tile", extra=AES_WITH_EMPTY_SALT))
    refuse(archive, r"'secret\.rar' is encrypted; unpack it by hand and set data\.root=")


@needs_tool
def test_a_wrong_checksum_inside_is_noticed(tmp_path: Path) -> None:
    archive = make_rar(
        tmp_path / "a.rar", file_block("one.jpg", b"tile"), file_block("two.jpg", b"tile", crc=7)
    )
    refuse(archive, r"'a\.rar' is damaged, or beyond what is installed \(.*'two\.jpg' came out")


@needs_tool
@pytest.mark.parametrize("kept", [0.01, 0.5, 0.98])
def test_a_truncated_rar_is_refused(tmp_path: Path, kept: float) -> None:
    archive = make_tiles(tmp_path / "short.rar")
    content = archive.read_bytes()
    archive.write_bytes(content[: max(8, int(len(content) * kept))])
    refuse(archive, r"'short\.rar' is damaged")


@needs_tool
def test_a_rar_that_swells_beyond_the_limits_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crack_lightning.data.downloads.archive_readers.MAX_TOTAL_BYTES", 1000)
    refuse(make_tiles(tmp_path / "bomb.rar"), r"'bomb\.rar' would swell to 0\.0 GB in 4 files")


@needs_tool
def test_an_abandoned_rar_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Watched(subprocess.Popen[bytes]):
        def __init__(self, *details: object, **more: object) -> None:
            super().__init__(*details, **more)  # type: ignore[call-overload]
            started.append(self)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(subprocess, "Popen", Watched)
    monkeypatch.setattr(archive_module, "_write", full)
    refuse(make_tiles(tmp_path / "tiles.rar"), "the disk is full")
    assert [process.poll() is not None for process in started] == [True]


def test_a_rar_is_told_by_content(tmp_path: Path) -> None:
    assert archive_kind(make_tiles(tmp_path / "tiles.zip")) == "rar"
