from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from crack_lightning.data.distractors import KINDS
from crack_lightning.data.drawing import drawn_photos
from crack_lightning.data.photos import cut_tiles, draw_photo
from crack_lightning.data.sources import synthetic
from crack_lightning.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable

SMALL: dict[str, Any] = {"num_tiles": 12, "tile_px": 96, "photo_tiles": 3}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> TileTable:
    return synthetic.load(seed=0, num_tiles=90, cache=tmp_path_factory.mktemp("cache"))


def entries(cache: Path) -> list[Path]:
    return [folder for folder in (cache / "synthetic").iterdir() if folder.is_dir()]


def pixels(table: TileTable, path: object) -> NDArray[Any]:
    image = cv2.imread(str(table.root / str(path)), cv2.IMREAD_UNCHANGED)
    assert image is not None, path
    return image


def test_half_of_the_tiles_are_cracked_and_there_are_as_many_as_asked(table: TileTable) -> None:
    assert len(table) == 90
    assert table.label.sum() == 45
    assert table.class_names == ("intact", "crack")
    assert table.positive_index == 1


def test_an_odd_number_of_tiles_is_kept_too(tmp_path: Path) -> None:
    odd = synthetic.load(seed=0, **SMALL | {"num_tiles": 7}, cache=tmp_path)

    assert len(odd) == 7
    assert odd.label.sum() == 3


def test_every_file_is_there_with_the_digest_of_the_table(table: TileTable) -> None:
    for path, digest in zip(table.path, table.sha256, strict=True):
        assert hashlib.sha256((table.root / path).read_bytes()).hexdigest() == digest
        assert pixels(table, path).shape == (96, 96, 3)


def test_a_tile_is_cracked_exactly_when_its_mask_and_its_width_say_so(table: TileTable) -> None:
    for row, mask_path in enumerate(table.extra["mask"]):
        mask = pixels(table, mask_path)
        assert mask.shape == (96, 96)
        assert set(np.unique(mask)) <= {0, 255}
        assert (mask.sum() > 0) == (table.label[row] == 1)
        assert np.isnan(table.extra["crack_width_px"][row]) == (table.label[row] == 0)
        assert (table.extra["crack_lines"][row] > 0) == (table.label[row] == 1)


def test_no_tile_has_a_mere_corner_of_a_crack(table: TileTable) -> None:
    for mask_path in table.extra["mask"][table.label == 1]:
        mask = pixels(table, mask_path)
        assert np.count_nonzero(mask) >= 14


def test_the_width_of_wide_cracks_agrees_with_their_masks(table: TileTable) -> None:
    measured, stated = [], []
    for row in np.flatnonzero(table.extra["crack_width_px"].astype(float) > 3):
        mask = pixels(table, table.extra["mask"][row])
        measured.append(2 * cv2.distanceTransform(mask, cv2.DIST_L2, 5).max() - 1)
        stated.append(float(table.extra["crack_width_px"][row]))
    assert np.corrcoef(measured, stated)[0, 1] > 0.8


def test_tiles_of_one_photo_share_a_group(table: TileTable) -> None:
    for path, group in zip(table.path, table.group, strict=True):
        assert str(path).startswith(f"images/{group}_")
    assert len(set(table.group)) >= 10


def test_distractors_are_named_kinds(table: TileTable) -> None:
    named = {kind for cell in table.extra["distractors"] for kind in str(cell).split("+") if kind}

    assert named <= set(KINDS)
    assert len(named) >= 4


@pytest.mark.parametrize("num_workers", [1, 2])
def test_the_pixels_are_the_same_whatever_the_workers(num_workers: int, tmp_path: Path) -> None:
    here = synthetic.load(seed=3, **SMALL, num_workers=0, cache=tmp_path / "here")
    there = synthetic.load(seed=3, **SMALL, num_workers=num_workers, cache=tmp_path / "there")

    np.testing.assert_array_equal(here.path, there.path)
    np.testing.assert_array_equal(here.sha256, there.sha256)


def test_a_photo_does_not_depend_on_how_many_tiles_are_asked_for(tmp_path: Path) -> None:
    few = synthetic.load(seed=3, **SMALL, cache=tmp_path)
    many = synthetic.load(seed=3, **SMALL | {"num_tiles": 30}, cache=tmp_path)

    digests = dict(zip(many.path, many.sha256, strict=True))
    shared = [path for path in few.path if path in digests]
    assert len(shared) >= 6
    assert all(digests[path] == few.sha256[list(few.path).index(path)] for path in shared)


def test_another_seed_draws_other_tiles(tmp_path: Path) -> None:
    first = synthetic.load(seed=3, **SMALL, cache=tmp_path)
    second = synthetic.load(seed=4, **SMALL, cache=tmp_path)

    assert not set(first.sha256) & set(second.sha256)


def test_tiles_are_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = synthetic.load(seed=3, **SMALL, cache=tmp_path)
    monkeypatch.setattr(synthetic, "drawn_photos", lambda **_: pytest.fail("drawn again"))
    again = synthetic.load(seed=3, **SMALL, cache=tmp_path)

    np.testing.assert_array_equal(first.sha256, again.sha256)
    for name, column in first.extra.items():
        np.testing.assert_array_equal(column, again.extra[name])


@pytest.mark.parametrize(
    "damage", ["cut a picture short", "lose a mask", "lose the recipe", "garble the recipe"]
)
def test_a_damaged_entry_is_drawn_again(damage: str, tmp_path: Path) -> None:
    table = synthetic.load(seed=3, **SMALL, cache=tmp_path)
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

    again = synthetic.load(seed=3, **SMALL, cache=tmp_path)

    digests = [hashlib.sha256((again.root / path).read_bytes()).hexdigest() for path in again.path]
    assert digests == table.sha256.tolist()
    assert all((again.root / str(mask)).is_file() for mask in again.extra["mask"])


def test_a_failure_in_the_middle_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**settings: int) -> Iterator[object]:
        yield next(drawn_photos(**settings))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(synthetic, "drawn_photos", broken)
    with pytest.raises(DataError, match="No space left on device"):
        synthetic.load(seed=3, **SMALL, cache=tmp_path)

    assert entries(tmp_path) == []


def test_a_kill_in_the_middle_leaves_nothing_that_is_used(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys\nfrom crack_lightning.data.sources import synthetic\n"
        "synthetic.load(seed=3, num_tiles=3000, tile_px=96, num_workers=1, cache=pathlib.Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("synthetic/.*.part/images/*.jpg")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert [folder.suffix for folder in entries(tmp_path)] == [".part"]

    assert len(synthetic.load(seed=3, **SMALL, cache=tmp_path)) == 12


def test_what_a_killed_process_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    entry = synthetic.load(seed=3, **SMALL, cache=tmp_path).root
    (entry / "made_of.json").unlink()
    leftover = entry.parent / f".{entry.name}.dead.part"
    leftover.mkdir()

    synthetic.load(seed=3, **SMALL, cache=tmp_path)

    assert entries(tmp_path) == [entry]


def test_two_processes_share_one_drawing(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys\nfrom crack_lightning.data.sources import synthetic\n"
        "table = synthetic.load(seed=3, num_tiles=12, tile_px=96, cache=pathlib.Path(sys.argv[1]))\n"
        "print(table.root.stat().st_ino)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in pair]

    assert outputs[0] == outputs[1]
    assert len(entries(tmp_path)) == 1


def test_the_recipe_says_what_made_the_entry(tmp_path: Path) -> None:
    table = synthetic.load(seed=3, **SMALL, cache=tmp_path)

    recipe = json.loads((table.root / "made_of.json").read_text(encoding="utf-8"))
    with (table.root / "tiles.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert recipe["made_of"]["seed"] == 3
    assert recipe["holds"]["images"][0] == len(rows) == 12


@pytest.mark.parametrize(
    ("setting", "value"), [("num_tiles", 1), ("tile_px", 8), ("photo_tiles", 0), ("num_workers", -1)]
)
def test_a_number_out_of_range_is_refused_by_name(setting: str, value: int, tmp_path: Path) -> None:
    settings = SMALL | {setting: value}

    with pytest.raises(ConfigError, match=rf"data\.{setting}: .* got {value}\."):
        synthetic.load(seed=0, **settings, cache=tmp_path)


def test_a_worker_that_dies_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false" if sys.platform != "win32" else "where.exe")

    with pytest.raises(DataError, match=r"data\.num_workers: a drawing process ended with status 1"):
        synthetic.load(seed=3, **SMALL, num_workers=2, cache=tmp_path)
    assert entries(tmp_path) == []


def test_a_large_photo_can_be_drawn_and_cut() -> None:
    photo = draw_photo(np.random.default_rng(1), 700, 1000)

    tiles = list(cut_tiles(photo, tile_px=200))

    assert photo.image.shape == (700, 1000, 3)
    assert len(tiles) <= 15
    assert {tile.position for tile in tiles} <= {(row, column) for row in range(3) for column in range(5)}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> TileTable:
    return synthetic.load(seed=11, num_tiles=1500, num_workers=2, cache=tmp_path_factory.mktemp("many"))


@pytest.fixture(scope="module")
def images(many: TileTable) -> list[NDArray[Any]]:
    return [pixels(many, path) for path in many.path]


@pytest.mark.slow
def test_distractors_are_about_as_frequent_on_cracked_tiles_as_on_intact_ones(many: TileTable) -> None:
    for kind in KINDS:
        has = np.array([kind in str(cell).split("+") for cell in many.extra["distractors"]])
        cracked, intact = has[many.label == 1].mean(), has[many.label == 0].mean()
        assert abs(cracked - intact) < 0.1, kind
        assert has.mean() > 0.004, kind


@pytest.mark.slow
def test_widths_reach_from_hairlines_to_wide_cracks_and_most_are_wide(many: TileTable) -> None:
    widths = many.extra["crack_width_px"][many.label == 1].astype(float)

    assert 0.02 < (widths < 1.5).mean() < 0.15
    assert (widths > 6).mean() > 0.25
    assert (widths > 3).mean() > 0.6


@pytest.mark.slow
def test_colour_statistics_alone_do_not_find_cracks(many: TileTable, images: list[NDArray[Any]]) -> None:
    assert logistic_accuracy(np.array([colour_features(image) for image in images]), many) < 0.75


@pytest.mark.slow
def test_line_filters_alone_do_not_find_cracks(many: TileTable, images: list[NDArray[Any]]) -> None:
    assert logistic_accuracy(np.array([line_features(image) for image in images]), many) < 0.85


def colour_features(image: NDArray[Any]) -> NDArray[Any]:
    bins = [np.histogram(image[..., channel], 16, (0, 256))[0] for channel in range(3)]
    return np.concatenate([image.mean(axis=(0, 1)), image.std(axis=(0, 1)), *bins])


def line_features(image: NDArray[Any]) -> NDArray[Any]:
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    light = grey.astype(np.float32)
    maps = []
    for size in (5, 9, 15, 25):
        element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        maps.append(cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, element))
    maps.append(np.hypot(cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1)))
    for angle in np.arange(0, np.pi, np.pi / 4):
        for wavelength in (5, 9):
            kernel = cv2.getGaborKernel((15, 15), 2.5, float(angle), wavelength, 0.6)
            maps.append(np.abs(cv2.filter2D(light, cv2.CV_32F, kernel - kernel.mean())))
    ranks = [np.percentile(values, (5, 25, 50, 75, 90, 95, 98, 99.5)) for values in maps]
    return np.concatenate([*ranks, [values.mean() for values in maps]])


def logistic_accuracy(features: NDArray[Any], table: TileTable) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=3000))
    guess = cross_val_predict(model, features, table.label, groups=table.group, cv=GroupKFold(5))
    return float((guess == table.label).mean())


DRAWN: dict[str, Any] = {"seed": 3, **SMALL, "num_workers": 1}


def test_what_is_drawn_meanwhile_is_what_load_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with synthetic.drawn_meanwhile(**DRAWN, cache=tmp_path, show_progress=False):
        pass

    monkeypatch.setattr(synthetic, "drawn_photos", lambda **_: pytest.fail("drawn again"))
    assert len(synthetic.load(**DRAWN, cache=tmp_path)) == 12


def test_drawing_meanwhile_ends_with_a_block_that_fails(tmp_path: Path) -> None:
    began = time.monotonic()
    with (
        pytest.raises(RuntimeError, match="no torch"),
        synthetic.drawn_meanwhile(**DRAWN | {"num_tiles": 100_000}, cache=tmp_path, show_progress=False),
    ):
        raise RuntimeError("no torch")
    assert time.monotonic() - began < 10
    assert not list(tmp_path.rglob("tiles.csv"))


def test_what_goes_wrong_meanwhile_is_left_to_load(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "synthetic").write_text("in the way")

    with synthetic.drawn_meanwhile(**DRAWN, cache=tmp_path, show_progress=False):
        pass

    assert capfd.readouterr().err == ""
    with pytest.raises(DataError, match="CRACK_LIGHTNING_CACHE: cannot keep synthetic"):
        synthetic.load(**DRAWN, cache=tmp_path)
