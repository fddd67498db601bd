"""Drawn tiles: photos of concrete walls that nobody took, cut up and kept in the cache folder."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from crack_lightning.data.drawing import drawn_photos
from crack_lightning.data.photos import DRAWING_VERSION, Tile
from crack_lightning.data.table import TileTable
from crack_lightning.errors import ConfigError, CrackLightningError, DataError
from crack_lightning.run_folder import write_text

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

CLASS_NAMES = ("intact", "crack")
_TABLE, _RECIPE = "tiles.csv", "made_of.json"
_FOLDERS = ("images", "masks")


def load(
    *,
    seed: int,
    num_tiles: int,
    tile_px: int = 96,
    photo_tiles: int = 2,
    num_workers: int = 0,
    cache: Path,
    show_progress: bool = False,
) -> TileTable:
    """Return drawn tiles, half of them cracked; draw them where the cache has none.

    Args:
        seed: Which photos are drawn; the same seed and photo give the same pixels whatever else is set.
        num_tiles: How many tiles, ``>= 2``.
        tile_px: Side of a tile, pixels, ``>= 64``.
        photo_tiles: Tiles along each side of a photo, ``>= 1``.
        num_workers: Processes that draw; ``0`` draws in this one.
        cache: The cache folder; the tiles go to ``synthetic/<digest>`` in it.
        show_progress: Whether to show a bar on standard error while drawing.

    Returns:
        The tiles in the order of their photos; groups are photos. Extra columns: ``crack_width_px`` (95th
        percentile of the local width along the centre lines; NaN where intact), ``distractors``, ``mask``.

    Raises:
        ConfigError: If a number is out of its range.
        DataError: If the cache cannot be written or a worker dies.
    """
    _check(num_tiles=num_tiles, tile_px=tile_px, photo_tiles=photo_tiles, num_workers=num_workers)
    recipe = _recipe(seed=seed, num_tiles=num_tiles, tile_px=tile_px, photo_tiles=photo_tiles)
    entry = _entry(cache, recipe)
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(entry.parent / f".{entry.name}.lock"):
            if not _is_whole(entry, recipe):
                photos = drawn_photos(
                    seed=seed, tile_px=tile_px, photo_tiles=photo_tiles, num_workers=num_workers
                )
                with _whole_folder(entry) as folder:
                    _draw(folder, photos, num_tiles, show_progress=show_progress)
                    _seal(folder, recipe)
            return _read(entry)
    except OSError as error:
        raise DataError(
            f"CRACK_LIGHTNING_CACHE: cannot keep drawn tiles in '{entry}' ({error}); "
            "set it to a folder that you may write in, on a disk with room."
        ) from error


@contextmanager
def drawn_meanwhile(*, cache: Path, num_workers: int, show_progress: bool, **drawn: int) -> Iterator[None]:
    """Draw in a process of its own what ``load`` will ask for, while the block runs.

    The block is an import that takes as long. Whatever goes wrong is left to ``load``, which tries again.

    Args:
        cache: The cache folder.
        num_workers: Processes that draw.
        show_progress: Whether to show a bar.
        **drawn: Seed, number and sizes, as for ``load``.
    """
    recipe = _recipe(**drawn)
    if _is_whole(_entry(cache, recipe), recipe):
        yield
        return
    settings = drawn | {"cache": str(cache), "num_workers": num_workers, "show_progress": show_progress}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", __name__, json.dumps(settings)]
    process = subprocess.Popen(command, env=environment)  # noqa: S603
    try:
        yield
        process.wait()
    finally:
        process.kill()
        process.wait()


def _recipe(**drawn: int) -> dict[str, object]:
    """Return all that decides the pixels."""
    return {"drawing": DRAWING_VERSION, **drawn, "numpy": np.__version__, "opencv": cv2.__version__}


def _entry(cache: Path, recipe: dict[str, object]) -> Path:
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    return cache / "synthetic" / digest[:20]


def _check(**numbers: int) -> None:
    least = {"num_tiles": 2, "tile_px": 64, "photo_tiles": 1, "num_workers": 0}
    for name, number in numbers.items():
        if number < least[name]:
            raise ConfigError(f"data.{name}: expected {least[name]} or more, got {number}.")


@contextmanager
def _whole_folder(entry: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``entry`` when the block ends well; hold the entry's lock."""
    prefix = f".{entry.name}."
    for leftover in entry.parent.glob(f"{prefix}*.part"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=entry.parent, prefix=prefix, suffix=".part"))
    try:
        yield folder
        folder.chmod(0o755)
        if entry.exists():
            shutil.rmtree(entry)
        folder.rename(entry)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _draw(
    folder: Path, photos: Generator[list[Tile], None, None], num_tiles: int, *, show_progress: bool
) -> None:
    """Write tiles, in the order of their photos, until there are enough of each class; then the table."""
    for name in _FOLDERS:
        (folder / name).mkdir()
    wanted = {True: num_tiles // 2, False: num_tiles - num_tiles // 2}
    rows: list[dict[str, object]] = []
    columns = (TextColumn("Drawing tiles"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not show_progress) as progress:
        bar = progress.add_task("", total=num_tiles)
        for photo, tiles in enumerate(photos):
            for tile in tiles:
                if wanted[tile.cracked] > 0:
                    wanted[tile.cracked] -= 1
                    rows.append(_write_tile(folder, f"photo_{photo:05d}", tile))
            progress.update(bar, completed=len(rows))
            if len(rows) == num_tiles:
                break
    photos.close()
    _as_table(folder, rows).write_csv(folder / _TABLE)


def _write_tile(folder: Path, group: str, tile: Tile) -> dict[str, object]:
    stem = f"{group}_{tile.position[0]}_{tile.position[1]}"
    path, mask = f"images/{stem}.jpg", f"masks/{stem}.png"
    (folder / path).write_bytes(tile.jpeg)
    (folder / mask).write_bytes(tile.mask_png)
    return {
        "path": path,
        "label": CLASS_NAMES[tile.cracked],
        "group": group,
        "sha256": hashlib.sha256(tile.jpeg).hexdigest(),
        "crack_width_px": tile.crack_width_px,
        "distractors": tile.distractors,
        "mask": mask,
    }


def _as_table(root: Path, rows: list[dict[str, object]]) -> TileTable:
    def column(name: str) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
        return np.array([str(row[name]) for row in rows])

    return TileTable(
        root=root,
        class_names=CLASS_NAMES,
        positive_class=CLASS_NAMES[1],
        path=column("path"),
        label=np.array([CLASS_NAMES.index(name) for name in column("label")], np.int64),
        group=column("group"),
        source=np.full(len(rows), "synthetic"),
        split=np.full(len(rows), ""),
        sha256=column("sha256"),
        extra={
            "crack_width_px": column("crack_width_px").astype(np.float64),
            "distractors": column("distractors"),
            "mask": column("mask"),
        },
    )


def _read(entry: Path) -> TileTable:
    with (entry / _TABLE).open(encoding="utf-8", newline="") as file:
        return _as_table(entry, list(csv.DictReader(file)))


def _seal(folder: Path, recipe: dict[str, object]) -> None:
    """Write down what made the entry and what it holds."""
    write_text(folder / _RECIPE, json.dumps({"made_of": recipe, "holds": _holdings(folder)}, indent=2))


def _is_whole(entry: Path, recipe: dict[str, object]) -> bool:
    """Say whether an entry is there and holds, file for file and byte for byte in sum, what was written."""
    try:
        sealed = json.loads((entry / _RECIPE).read_text(encoding="utf-8"))
        return bool(sealed == {"made_of": recipe, "holds": _holdings(entry)})
    except (OSError, ValueError):
        return False


def _holdings(folder: Path) -> dict[str, list[int]]:
    """Count the files of an entry and their bytes."""
    sizes = {name: [file.stat().st_size for file in (folder / name).iterdir()] for name in _FOLDERS}
    sizes[_TABLE] = [(folder / _TABLE).stat().st_size]
    return {name: [len(values), sum(values)] for name, values in sizes.items()}


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    with suppress(CrackLightningError, KeyboardInterrupt):
        load(**asked | {"cache": Path(asked["cache"])})
