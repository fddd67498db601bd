"""A fetch that broke off goes on where it can, and starts over where the file may be another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from crack_lightning.runtime.errors import DataError
from tests.data.websites import CONTENT, Behaviour, get

if TYPE_CHECKING:
    from pathlib import Path


def leave_part(site: Behaviour, folder: Path, *, size: int) -> None:
    """Break a fetch off after ``size`` bytes, as a killed process would."""
    site.cuts = [size]
    site.statuses = [200, 404]
    with pytest.raises(DataError, match="404"):
        get(site, folder)
    assert (folder / "tiles.zip.part").read_bytes() == site.content[:size]
    site.asked.clear()


def test_a_broken_connection_is_resumed_at_once(site: Behaviour, tmp_path: Path) -> None:
    site.cuts = [300_000, 200_000]
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert [asked.get("Range") for asked in site.asked] == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_run_resumes_the_part_by_its_etag(site: Behaviour, tmp_path: Path) -> None:
    leave_part(site, tmp_path, size=400_000)
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert [(asked["Range"], asked["If-Range"]) for asked in site.asked] == [("bytes=400000-", '"one"')]


def test_a_later_run_resumes_the_part_by_its_date(site: Behaviour, tmp_path: Path) -> None:
    site.etag, site.modified = 'W/"weak"', "Wed, 21 Oct 2015 07:28:00 GMT"
    leave_part(site, tmp_path, size=400_000)
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert site.asked[0]["If-Range"] == "Wed, 21 Oct 2015 07:28:00 GMT"


def test_a_part_of_unknown_version_is_started_over(site: Behaviour, tmp_path: Path) -> None:
    site.etag = None
    leave_part(site, tmp_path, size=400_000)
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert "Range" not in site.asked[0]


def test_a_part_of_another_address_is_started_over(site: Behaviour, tmp_path: Path) -> None:
    leave_part(site, tmp_path, size=400_000)
    note = tmp_path / "tiles.zip.part.json"
    note.write_text(json.dumps({"url": "http://127.0.0.1/other", "version": '"one"'}))
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert "Range" not in site.asked[0]


@pytest.mark.parametrize("note", ["", "[1]", "{"])
def test_a_part_with_a_damaged_note_is_started_over(site: Behaviour, tmp_path: Path, note: str) -> None:
    leave_part(site, tmp_path, size=400_000)
    (tmp_path / "tiles.zip.part.json").write_text(note)
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert "Range" not in site.asked[0]


def test_a_server_that_ignores_ranges_starts_over(site: Behaviour, tmp_path: Path) -> None:
    leave_part(site, tmp_path, size=400_000)
    site.ranges = False
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert site.asked[0]["Range"] == "bytes=400000-"


@pytest.mark.parametrize("honours_if_range", [True, False])
def test_a_file_that_changed_meanwhile_starts_over(
    site: Behaviour, tmp_path: Path, *, honours_if_range: bool
) -> None:
    leave_part(site, tmp_path, size=400_000)
    site.content, site.etag, site.honours_if_range = CONTENT[::-1], '"two"', honours_if_range
    assert get(site, tmp_path, sha256=None).read_bytes() == CONTENT[::-1]


def test_a_file_that_shrank_meanwhile_starts_over(site: Behaviour, tmp_path: Path) -> None:
    leave_part(site, tmp_path, size=400_000)
    site.content, site.honours_if_range = b"short", False
    assert get(site, tmp_path, sha256=None).read_bytes() == b"short"


def test_a_part_that_is_whole_is_only_verified(site: Behaviour, tmp_path: Path) -> None:
    leave_part(site, tmp_path, size=400_000)
    (tmp_path / "tiles.zip.part").write_bytes(CONTENT)
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert [asked["Range"] for asked in site.asked] == ["bytes=1000000-"]


def test_a_connection_that_keeps_breaking_ends_with_a_sentence(site: Behaviour, tmp_path: Path) -> None:
    site.ranges = False
    site.cuts = [1000] * 9
    with pytest.raises(
        DataError, match=r"broke after 1000 of 1000000 bytes.*the-page.*data\.archive=.*data\.root="
    ):
        get(site, tmp_path)
    assert not (tmp_path / "tiles.zip").exists()


def test_a_redirection_is_followed_and_keeps_the_range(site: Behaviour, tmp_path: Path) -> None:
    leave_part(site, tmp_path, size=400_000)
    site.location = "/moved"
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert [asked["Range"] for asked in site.asked] == ["bytes=400000-"] * 2
