from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from dataclasses import dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import pytest

from crack_lightning.data.downloads import published as published_module
from crack_lightning.data.sources.metu import MetuSettings
from crack_lightning.data.sources.sdnet2018 import Sdnet2018Settings
from crack_lightning.data.sources.shared_settings import PublishedSet, PublishedSettings
from crack_lightning.data.sources.source import LoadContext
from crack_lightning.runtime.errors import ConfigError, DataError
from tests.data.archives import make_zip, tree
from tests.data.websites import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TILES = {"Positive/1.jpg": b"crack", "Negative/1.jpg": b"intact"}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def published(tmp_path: Path) -> Iterator[PublishedSet]:
    """Publish a small data set on this machine."""
    folder = tmp_path / "www"
    folder.mkdir()
    archive = make_zip(folder / "tiles.zip", TILES)
    with serving(partial(Quiet, directory=str(folder))) as address:
        yield PublishedSet(
            name="small",
            page="https://example.org/page",
            url=f"{address}/tiles.zip",
            file_name="tiles.zip",
            sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
            doi="10.0/0",
            licence="CC0",
        )


def locate(published_set: PublishedSet, cache: Path, **keys: Any) -> Path:
    @dataclass
    class Settings(PublishedSettings):
        published: ClassVar[PublishedSet] = published_set

    texts: dict[str, Any] = {key: value if value is True else str(value) for key, value in keys.items()}
    return Settings(**texts).locate(LoadContext(cache=cache, num_workers=0, show_progress=False))


def test_a_root_is_used_as_it_is_and_comes_first(published: PublishedSet, tmp_path: Path) -> None:
    found = locate(published, tmp_path / "cache", root=tmp_path, archive=tmp_path / "no", download=True)
    assert found == tmp_path
    assert not (tmp_path / "cache").exists()


def test_an_archive_is_unpacked_once_into_the_cache_and_anew_when_it_changed(
    published: PublishedSet, tmp_path: Path
) -> None:
    archive = make_zip(tmp_path / "mine.zip", TILES)
    folder = locate(published, tmp_path / "cache", archive=archive)
    assert tree(folder) == TILES
    assert folder.is_relative_to(tmp_path / "cache")
    (folder / "mark").touch()
    assert (locate(published, tmp_path / "cache", archive=archive) / "mark").exists()
    os.utime(archive, (1, 1))
    assert locate(published, tmp_path / "cache", archive=archive) != folder


def test_a_download_is_unpacked_once_beside_its_citation_and_its_archive_is_deleted(
    published: PublishedSet, tmp_path: Path
) -> None:
    folder = locate(published, tmp_path / "cache", download=True)
    assert tree(folder) == TILES
    assert not list((tmp_path / "cache").rglob("tiles.zip*"))
    note = json.loads((folder.parent / "entry.json").read_text(encoding="utf-8"))
    assert (note["doi"], note["licence"], note["url"]) == ("10.0/0", "CC0", published.url)
    (tmp_path / "www" / "tiles.zip").unlink()
    assert locate(published, tmp_path / "cache", download=True) == folder


def test_without_any_key_the_three_are_named(published: PublishedSet, tmp_path: Path) -> None:
    sentence = r"'small' needs.*data\.root=.*data\.archive=.*example\.org/page.*data\.download=true"
    with pytest.raises(ConfigError, match=sentence):
        locate(published, tmp_path)


@pytest.mark.parametrize(
    ("key", "name", "said"),
    [
        ("root", "nowhere", r"nowhere' does not exist; set data\.root=.*example\.org/page"),
        ("root", "www/tiles.zip", r"tiles\.zip' is a file; set data\.archive to it, or set data\.root="),
        ("archive", "no.zip", r"no\.zip' does not exist; set data\.archive=.*example\.org/page"),
        ("archive", "www", r"www' is a folder; set data\.root to it, or set data\.archive="),
    ],
)
def test_a_missing_root_or_archive_is_named(
    published: PublishedSet, tmp_path: Path, key: str, name: str, said: str
) -> None:
    with pytest.raises(DataError, match=rf"data\.{key}: '.*{said}"):
        locate(published, tmp_path, **{key: tmp_path / name})


def test_a_rar_is_not_downloaded_where_nothing_can_unpack_it(
    published: PublishedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    rar = replace(published, file_name="tiles.rar", url="http://127.0.0.1:1/")
    said = r"data\.download: 'tiles\.rar' from http.* is a RAR archive and none of .* is installed"
    with pytest.raises(DataError, match=said):
        locate(rar, tmp_path / "c", download=True)


def test_a_download_that_cannot_be_unpacked_is_kept(published: PublishedSet, tmp_path: Path) -> None:
    (tmp_path / "www" / "tiles.zip").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"'tiles\.zip' is no zip"):
        locate(replace(published, sha256=None), tmp_path / "cache", download=True)
    assert [path.read_bytes() for path in (tmp_path / "cache").rglob("tiles.zip")] == [b"no archive"]


def test_a_cache_that_cannot_be_written_is_named(published: PublishedSet, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"CRACK_LIGHTNING_CACHE: cannot write in '.*tiles\.zip"):
        locate(published, tmp_path / "www" / "tiles.zip", download=True)


@pytest.mark.parametrize("published_set", [MetuSettings.published, Sdnet2018Settings.published])
def test_the_sets_that_can_be_downloaded_are_asked_for_over_an_encrypted_connection(
    published_set: PublishedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = []

    def lookup(host: str, port: int, *_: object, **__: object) -> None:
        hosts.append((host, port))
        raise socket.gaierror(socket.EAI_NONAME, "no such host")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(published_module, "require_tool", lambda **_: None)
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(DataError, match=re.escape(published_set.page)):
        locate(published_set, tmp_path, download=True)
    assert hosts[0] == (urlsplit(published_set.page).hostname, 443)
