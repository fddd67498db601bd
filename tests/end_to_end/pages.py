"""Open every page below a folder as readers do, and look at it: ``python tests/end_to_end/pages.py outputs``.

Headless Chromium without a network, 1280 and 390 px wide and as wide as paper, in the light and in the dark:
nothing may be requested, complained of in the console, or stick out. Screenshots are kept beside each page.
Needs selenium, and chromium and chromedriver on the path.
"""

from __future__ import annotations

import argparse
import base64
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from crack_lightning.cli.main import main as run_command
from crack_lightning.comparison.reference_tests import MANY_RUNS

NAMES = ("report.html", "comparison.html", "audit.html")
HEIGHT = 900
VIEWS = [(width, scheme, "screen") for width in (1280, 390) for scheme in ("light", "dark")]
VIEWS.append((718, "dark", "print"))  # A4 between its margins
_SCROLLS = """return [...document.querySelectorAll("table.explained")].some(
    table => table.parentElement.scrollWidth > table.parentElement.clientWidth)"""
_TABLE = "const table = document.querySelector('.paged')"
_STATUS = "return table.querySelector('[role=status]').innerText"
_FILTER = """const filter = table.querySelector('input');
filter.value = '{}'; filter.dispatchEvent(new Event('input'))"""
FAULTY = """<!doctype html><title>faulty</title><div style="width: 3000px">wide</div>
<img src="http://127.0.0.1:9/missing.png" alt=""><script>console.error("wrong")</script>"""


def browser() -> Any:
    """Start headless Chromium with its network cut and its log kept."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.execute_cdp_cmd("Network.enable", {})
    cut = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", cut)
    return driver


def faults(
    driver: Any, page: Path, *, width: int, scheme: str, medium: str = "screen", site: Path | None = None
) -> list[str]:
    """Open a page and say what is wrong with it; files below ``site`` may be requested."""
    screen = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    media = {"media": medium, "features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    for kind in ("browser", "performance"):
        driver.get_log(kind)  # empties it
    driver.get(page.resolve().as_uri())
    if not driver.execute_script("return document.URL").startswith("file:"):  # its own error page
        return [f"unopened: a page is expected at {page}, and there is none that Chromium can read"]
    found = [f"console: {entry['message']}" for entry in driver.get_log("browser")]
    for entry in driver.get_log("performance"):
        told = json.loads(entry["message"])["message"]
        if told["method"] == "Network.requestWillBeSent":
            url = told["params"]["request"]["url"]
            own = site is not None and url.startswith(f"{site.as_uri()}/")
            if not own and not url.startswith("data:") and url != page.resolve().as_uri():
                found.append(f"request: {url}")
    inside, window = driver.execute_script(
        "return [document.scrollingElement.scrollWidth, window.innerWidth]"
    )
    if inside > window or window != width:
        found.append(f"overflow: {inside} px in a window of {window} px, {width} asked")
    if driver.execute_script(_SCROLLS):
        found.append("overflow: the figures and what they mean are to be read without scrolling sideways")
    return found


def keep(driver: Any, path: Path) -> None:
    """Write a picture of the whole page."""
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    path.write_bytes(base64.b64decode(shot["data"]))


def compare_copies(folder: Path) -> None:
    """Compare so many copies of a run below a folder, with seeds of their own, that tables are paged."""
    report = next(folder.rglob("report/report.json"))
    contents = json.loads(report.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as name:
        for seed in range(MANY_RUNS + 1):
            run = Path(name) / str(seed)
            (run / "report").mkdir(parents=True)
            contents["provenance"]["settings"]["seed"] = seed
            (run / "report" / "report.json").write_text(json.dumps(contents), encoding="utf-8")
            shutil.copy(report.parents[1] / "predictions.csv", run)
        assert run_command(["compare", name, f"outputs={folder}"]) == 0


def table_faults(driver: Any) -> list[str]:
    """Filter, page and sort the first table of the page at hand, and say what is wrong."""
    total = f"{MANY_RUNS + 1} rows"
    matching = f"that match, of {MANY_RUNS + 1}"
    sort = "[...table.querySelectorAll('th button')].find(button => button.innerText == 'seed').click()"
    steps = {
        _FILTER.format("seed<7 accuracy>=0"): f"1 to 7 of 7 rows {matching}",
        _FILTER.format("nosuch=1"): f"1 to 50 of {total}; no column for nosuch=1",
        _FILTER.format("nowhere"): f"0 rows {matching}",
        _FILTER.format(""): f"1 to 50 of {total}",
        "table.querySelector('.controls button:last-of-type').click()": f"51 to 100 of {total}",
        f"{sort}; {sort}": f"1 to 50 of {total}",
    }
    found = []
    for step, expected in steps.items():
        shown = driver.execute_script(f"{_TABLE}; {step}; {_STATUS}")
        if shown != expected:
            found.append(f"table: after {step!r} '{expected}' is expected, got '{shown}'")
    first = driver.execute_script(f"{_TABLE}; return table.querySelector('tbody tr').cells[1].innerText")
    return [*found, *([] if first == str(MANY_RUNS) else [f"table: seed {first} comes first"])]


def main() -> None:
    """Look at every page, and end with 1 if one has a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    compare_copies(folder)
    pages = sorted(path for name in NAMES for path in folder.rglob(name))
    if {page.name for page in pages} != set(NAMES):
        parser.error(f"{folder}: expected {', '.join(NAMES)}, got {', '.join(page.name for page in pages)}")
    driver, wrong = browser(), 0
    with tempfile.TemporaryDirectory() as name:
        faulty = Path(name) / "faulty.html"
        faulty.write_text(FAULTY, encoding="utf-8")
        kinds = {fault.split(":")[0] for fault in faults(driver, faulty, width=1280, scheme="light")}
        assert kinds == {"console", "request", "overflow"}, f"a faulty page was blamed for {kinds} alone"
        [fault] = faults(driver, faulty.with_name("missing.html"), width=1280, scheme="light")
        assert fault.startswith("unopened: "), f"a missing page was blamed for {fault}"
    for page in pages:
        for width, scheme, medium in VIEWS:
            found = faults(driver, page, width=width, scheme=scheme, medium=medium)
            wrong += len(found)
            keep(driver, page.with_name(f"{page.stem}_{width}_{scheme}.png"))
            print(page, width, scheme, medium, *(found or ["good"]), flush=True)
            if medium == "screen" and driver.execute_script("return !!document.querySelector('.paged')"):
                wrong += len(found := table_faults(driver))
                print(page, width, scheme, "its table", *(found or ["good"]), flush=True)
    driver.quit()
    sys.exit(min(wrong, 1))


if __name__ == "__main__":
    main()
