"""Drawn tiles are kept whole and once, whatever breaks, and may be drawn ahead."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crack_lightning.config.nodes.data import DataConfig
from crack_lightning.data.synthesis import drawn_tiles
from crack_lightning.data.synthesis.render_pool import render_photos
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL: dict[str, Any] = {"seed": 3, "num_tiles": 12, "tile_px": 96, "photo_tiles": 3}


def entries(cache: Path) -> list[Path]:
    return [folder for folder in (cache / "synthetic").iterdir() if folder.is_dir()]


def test_tiles_are_drawn_once_and_the_recipe_says_of_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = drawn_tiles.load(**SMALL, cache=tmp_path)
    recipe = json.loads((first.root / "made_of.json").read_text(encoding="utf-8"))
    assert recipe["made_of"]["seed"] == 3
    assert recipe["holds"]["images"][0] == 12
    monkeypatch.setattr(drawn_tiles, "render_photos", lambda **_: pytest.fail("drawn again"))
    again = drawn_tiles.load(**SMALL, cache=tmp_path)

    np.testing.assert_array_equal(first.sha256, again.sha256)
    for name, column in first.extra.items():
        np.testing.assert_array_equal(column, again.extra[name])


@pytest.mark.parametrize(
    "damage", ["cut a picture short", "lose a mask", "lose the recipe", "garble the recipe"]
)
def test_a_damaged_entry_is_drawn_again(damage: str, tmp_path: Path) -> None:
    table = drawn_tiles.load(**SMALL, cache=tmp_path)
    recipe = table.root / "made_of.json"
    if damage == "cut a picture short":
        picture = table.root / str(table.path[0])
        picture.write_bytes(picture.read_bytes()[:-5])
    elif damage == "lose a mask":
        (table.root / str(table.extra["mask"][0])).unlink()
    elif damage == "lose the recipe":
        recipe.unlink()
    else:
        recipe.write_text("{", encoding="utf-8")

    again = drawn_tiles.load(**SMALL, cache=tmp_path)

    digests = [hashlib.sha256((again.root / path).read_bytes()).hexdigest() for path in again.path]
    assert digests == table.sha256.tolist()
    assert all((again.root / str(mask)).is_file() for mask in again.extra["mask"])


def test_a_failure_in_the_middle_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**settings: int) -> Iterator[object]:
        yield next(render_photos(**settings))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(drawn_tiles, "render_photos", broken)
    with pytest.raises(DataError, match="No space left on device"):
        drawn_tiles.load(**SMALL, cache=tmp_path)

    assert entries(tmp_path) == []


def test_a_kill_in_the_middle_leaves_nothing_that_is_used(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys\nfrom crack_lightning.data.synthesis import drawn_tiles\n"
        "drawn_tiles.load(seed=3, num_tiles=3000, tile_px=96, num_workers=1, cache=pathlib.Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    while not list(tmp_path.glob("synthetic/.*.part/images/*.jpg")):
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert [folder.suffix for folder in entries(tmp_path)] == [".part"]

    assert len(drawn_tiles.load(**SMALL, cache=tmp_path)) == 12


def test_what_a_killed_process_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    entry = drawn_tiles.load(**SMALL, cache=tmp_path).root
    (entry / "made_of.json").unlink()
    leftover = entry.parent / f".{entry.name}.dead.part"
    leftover.mkdir()

    drawn_tiles.load(**SMALL, cache=tmp_path)

    assert entries(tmp_path) == [entry]


def test_two_processes_share_one_drawing(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys\nfrom crack_lightning.data.synthesis import drawn_tiles\n"
        "table = drawn_tiles.load(seed=3, num_tiles=12, tile_px=96, cache=pathlib.Path(sys.argv[1]))\n"
        "print(table.root.stat().st_ino)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in pair]

    assert outputs[0] == outputs[1]
    assert len(entries(tmp_path)) == 1


def test_a_worker_that_dies_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false" if sys.platform != "win32" else "where.exe")

    with pytest.raises(DataError, match=r"data\.num_workers: a drawing process ended with exit code 1"):
        drawn_tiles.load(**SMALL, num_workers=2, cache=tmp_path)
    assert entries(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize("written", ["", r"\200\004\225", "hello", r"c\n", "I1"])
def test_a_worker_that_is_killed_is_told_with_what_to_do_whatever_it_wrote(
    written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = tmp_path / "killed"
    killed.write_text(f"#!/bin/sh\nprintf '{written}'\nkill -9 $$\n", encoding="utf-8")
    killed.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(killed))
    with pytest.raises(DataError, match=r"ended by SIGKILL .*set data\.num_workers=0 to draw without"):
        drawn_tiles.load(**SMALL, num_workers=2, cache=tmp_path)


def test_the_advice_to_draw_without_processes_is_followed() -> None:
    assert DataConfig(num_workers=0).drawing_processes(4) == 0
    assert [DataConfig(num_workers=number).drawing_processes(4) for number in (None, 1)] == [4, 4]


DRAWN = SMALL | {"num_workers": 1}


def test_what_is_drawn_meanwhile_is_what_load_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with drawn_tiles.draw_in_background(**DRAWN, cache=tmp_path, show_progress=False):
        pass

    monkeypatch.setattr(drawn_tiles, "render_photos", lambda **_: pytest.fail("drawn again"))
    assert len(drawn_tiles.load(**DRAWN, cache=tmp_path)) == 12


def test_drawing_meanwhile_ends_with_a_block_that_fails(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="no torch"),
        drawn_tiles.draw_in_background(**DRAWN | {"num_tiles": 100_000}, cache=tmp_path, show_progress=False),
    ):
        raise RuntimeError("no torch")
    assert not list(tmp_path.rglob("tiles.csv"))  # drawing them all would take a quarter of an hour


def test_what_goes_wrong_meanwhile_is_left_to_load(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "synthetic").write_text("in the way")

    with drawn_tiles.draw_in_background(**DRAWN, cache=tmp_path, show_progress=False):
        pass

    assert capfd.readouterr().err == ""
    with pytest.raises(DataError, match="CRACK_LIGHTNING_CACHE: cannot write synthetic"):
        drawn_tiles.load(**DRAWN, cache=tmp_path)
