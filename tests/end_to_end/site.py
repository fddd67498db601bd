"""Open every page of the built documentation, and follow its links: ``python tests/end_to_end/site.py site``.

Headless Chromium without a network, 1280 and 390 px wide: nothing outside the site may be requested,
complained of in the console, or stick out, and every link within the site must lead to a page and a place on
it. Screenshots go to a folder ``screenshots`` beside the site.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pages import browser, faults, keep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WIDTHS = (1280, 390)
DEAD = '<!doctype html><title>dead</title><p id="here"><a href="#there">a</a> <a href="none.html">b</a></p>'
_LINKS = """return [...document.querySelectorAll("a[href], img[src]")].map(node => node.href || node.src)"""
_PLACES = """return [...document.querySelectorAll("[id]")].map(node => node.id)"""


def dead_links(links: Mapping[Path, list[str]], places: Mapping[Path, set[str]]) -> Iterator[str]:
    """Yield a sentence for each link within the site that leads nowhere.

    Args:
        links: Absolute addresses by the page that has them.
        places: Identifiers on each page.
    """
    for page, addresses in links.items():
        for address in dict.fromkeys(addresses):
            parts = urlsplit(address)
            target, place = Path(unquote(parts.path)), unquote(parts.fragment)
            if parts.scheme != "file":
                continue
            if not target.is_file():
                yield f"dead link: {page.name} has {address}, and there is no such file"
            elif place and place not in places.get(target, {place}):
                yield f"dead link: {page.name} has {address}, and no such place is on that page"


def read(driver: Any, pages: list[Path]) -> tuple[dict[Path, list[str]], dict[Path, set[str]]]:
    """Return the links and the identifiers of pages."""
    links, places = {}, {}
    for page in pages:
        driver.get(page.as_uri())
        links[page] = list(driver.execute_script(_LINKS))
        places[page] = set(driver.execute_script(_PLACES))
    return links, places


def main() -> None:
    """Look at every page, and end with 1 if one has a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    site = parser.parse_args().site.resolve()
    pages = sorted(site.rglob("*.html"))
    if site / "index.html" not in pages:
        parser.error(f"{site}: expected a built site, got no index.html")
    driver, wrong = browser(), 0
    with tempfile.TemporaryDirectory() as name:
        dead = Path(name).resolve() / "dead.html"
        dead.write_text(DEAD, encoding="utf-8")
        assert len(list(dead_links(*read(driver, [dead])))) == 2, "a page with two dead links passed"
    shots = site.with_name("screenshots")
    shots.mkdir(exist_ok=True)
    for page in pages:
        for width in WIDTHS:
            found = faults(driver, page, width=width, scheme="light", site=site)
            wrong += len(found)
            keep(
                driver,
                shots / f"{page.relative_to(site).with_suffix('').as_posix().replace('/', '_')}_{width}.png",
            )
            print(page.relative_to(site), width, *(found or ["good"]), flush=True)
    found = list(dead_links(*read(driver, pages)))
    print(*found, f"{len(found)} dead links", sep="\n")
    driver.quit()
    sys.exit(min(wrong + len(found), 1))


if __name__ == "__main__":
    main()
