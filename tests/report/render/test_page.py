"""The HTML page of a report: self-contained, complete, and safe for any name."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.report.write import write_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Tags(HTMLParser):
    """Collects tags with their attributes, and checks that they are closed."""

    EMPTY = ("meta", "img", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, draw_run: Callable[..., Any]) -> str:
    tmp_path = tmp_path_factory.mktemp("page")
    provenance = {"command": "train", "settings": {"seed": 0}}
    table, predictions = draw_run()
    hostile = np.array([f"<script>alert({row})</script>" for row in range(len(table))])
    table = replace(table, root=tmp_path / "tiles", group=hostile)
    for path in table.path[predictions.index]:
        (table.root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (90, 90, 90)).save(table.root / path)
    write_report(tmp_path, title="a & b", predictions=predictions, table=table, provenance=provenance)
    return (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


def test_the_page_is_one_file_without_network_requests(page: str) -> None:
    tags = Tags(page).seen
    assert not [tag for tag, _ in tags if tag in ("script", "link", "iframe", "object")]
    sources = [attributes["src"] or "" for tag, attributes in tags if tag == "img"]
    assert len(sources) > 15
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"url\(|@import", page)


def test_every_picture_has_an_alternative_text(page: str) -> None:
    images = [attributes for tag, attributes in Tags(page).seen if tag == "img"]
    assert all(attributes.get("alt") for attributes in images)


def test_names_are_escaped(page: str) -> None:
    assert "<script>" not in page
    assert "&lt;script&gt;alert(" in page
    assert "<title>a &amp; b</title>" in page


def test_the_page_has_the_contents_of_the_report(page: str) -> None:
    for told in ("95 % CI", "Probability of detection", "Least confident", "Settings", "all intact"):
        assert told in page
    assert page.count("<figure>") >= 20


def test_a_missing_tile_does_not_break_the_page(tmp_path: Path, draw_run: Callable[..., Any]) -> None:
    table, predictions = draw_run()
    write_report(tmp_path, title="t", predictions=predictions, table=table, provenance={})
    assert "data:image/gif" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
