"""The cell map of the first photo, computed while torch is imported.

Importing torch and timm takes one core a second or two, and a map by OpenVINO needs neither. What it needs is
stored by an earlier run with the same settings; a map is used only if everything that determines it turns out
to be the same after the import, the pixels included.
"""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import rmtree
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.data.io.decoding import decode_image, picture_header
from crack_lightning.inference.maps.cell_pieces import cell_map
from crack_lightning.inference.maps.scaled_photo import ScaledPhoto
from crack_lightning.model.backends.engines.openvino import AnySizeCompute, import_openvino
from crack_lightning.model.backends.registry import installed_version
from crack_lightning.model.heads.protocol import CELL_PX
from crack_lightning.runtime.cache import cache_folder, cached_entry, entry_name, is_cached
from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.hardware import available_cores, describe_processor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from crack_lightning.config import PredictConfig

log = logging.getLogger(__name__)
_LEAST_PIXELS = 10_000_000
_KIND, _FILE = "maps_ahead", "recipe.json"


@dataclass(frozen=True, kw_only=True)
class MapRecipe:
    """What determines the cell map of given pixels by OpenVINO.

    Attributes:
        network: XML of the converted network.
        precision: ``32`` or ``bf16``.
        threads: Compute threads.
        reach_px: Radius of a cell's receptive field, pixels.
        piece_px: Largest side of a piece, pixels.
        scale: Pixels of the network's input per pixel of a photo.
    """

    network: str
    precision: str
    threads: int
    reach_px: int
    piece_px: int
    scale: float


class CellsAhead:
    """The cell map of a photo, computed in a thread.

    Args:
        photo: An image file.
        recipe: How it is mapped.
    """

    def __init__(self, photo: Path, recipe: MapRecipe) -> None:
        import_openvino()  # in this thread: imports of two threads could wait for each other
        self._recipe, self._stop = recipe, Event()
        self._pool = ThreadPoolExecutor(1)
        self._result = self._pool.submit(self._compute, photo)

    def _compute(self, photo: Path) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        recipe, pixels = self._recipe, decode_image(photo)
        ScaledPhoto(pixels=pixels, scale=recipe.scale).require_cells(CELL_PX)
        compute = AnySizeCompute(Path(recipe.network), precision=recipe.precision, threads=recipe.threads)

        def cells(images: NDArray[np.uint8]) -> NDArray[np.float32]:
            if self._stop.is_set():
                raise InterruptedError
            return compute.compute(images)

        how = {"reach_px": recipe.reach_px, "piece_px": recipe.piece_px}
        return pixels, cell_map(cells, pixels, **how, scale=recipe.scale)

    def take(self, recipe: MapRecipe, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Return the map of these pixels by this recipe; ``None`` if another was computed, or it failed."""
        if recipe != self._recipe:
            return None
        try:
            own, cells = self._result.result()
        except Exception:  # noqa: BLE001  # computed again by the caller, who reports what is wrong
            return None
        return cells if np.array_equal(own, pixels) else None

    def close(self) -> None:
        """End the computation after its present piece."""
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)


class _Run:
    """The prediction of this process: a map computed ahead, and the recipe of its maps."""

    ahead: CellsAhead | None = None
    recipe: MapRecipe | None = None


@contextmanager
def first_map_ahead(config: PredictConfig, pictures: Sequence[Path]) -> Iterator[None]:
    """Begin to map the first photo; store the recipe of the block's maps for later runs.

    Args:
        config: Checked settings.
        pictures: The photos.
    """
    computed_here = config.makes_maps and config.resume is None and not config.cluster.is_used
    if not (computed_here and _is_large(pictures)):
        yield
        return
    fingerprint, cache = _fingerprint(config), cache_folder()
    stored = _stored(fingerprint, cache)
    _Run.recipe, _Run.ahead = None, None if stored is None else CellsAhead(pictures[0], stored)
    try:
        yield
        if _Run.recipe not in {None, stored}:
            _store(_Run.recipe, fingerprint, cache)
    finally:
        if _Run.ahead is not None:
            _Run.ahead.close()
        _Run.ahead = None


def cells_ahead(recipe: MapRecipe, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Return the cell map of a photo if it was computed ahead, once; ``None`` otherwise."""
    _Run.recipe, (ahead, _Run.ahead) = recipe, (_Run.ahead, None)
    if ahead is None:
        return None
    cells = ahead.take(recipe, pixels)
    ahead.close()
    return cells


def _is_large(pictures: Sequence[Path]) -> bool:
    with suppress(Exception):  # decoding reports what is wrong
        width, height, _ = picture_header(pictures[0])
        return width * height >= _LEAST_PIXELS
    return False


def _fingerprint(config: PredictConfig) -> dict[str, object]:
    """Return what determines the recipe, as far as it is known before torch is imported."""
    checkpoint = Path(config.checkpoint)
    status = checkpoint.stat() if checkpoint.is_file() else None
    return {
        "checkpoint": str(checkpoint.resolve()) if status else config.checkpoint,
        "status": [status.st_size, status.st_mtime_ns] if status else [],
        "engine": config.engine,
        "scale": config.scale,
        "trainer": [config.trainer.accelerator, config.trainer.precision],
        "threads": config.trainer.threads or available_cores(),
        "processor": describe_processor(),
        "versions": [installed_version(name) for name in ("crack-lightning", "torch", "timm", "openvino")],
    }


def _stored(fingerprint: dict[str, object], cache: Path) -> MapRecipe | None:
    if not is_cached(_KIND, fingerprint, cache=cache):
        return None
    with suppress(OSError, ValueError, TypeError):
        file = cache / _KIND / entry_name(fingerprint) / _FILE
        recipe = MapRecipe(**json.loads(file.read_text(encoding="utf-8")))
        return recipe if Path(recipe.network).is_file() else None
    return None


def _store(recipe: MapRecipe | None, fingerprint: dict[str, object], cache: Path) -> None:
    """Store a recipe instead of a former one."""

    def make(folder: Path) -> None:
        (folder / _FILE).write_text(json.dumps(recipe and asdict(recipe)), encoding="utf-8")

    with suppress(DataError):  # the map is written; a later run begins later
        rmtree(cache / _KIND / entry_name(fingerprint), ignore_errors=True)
        cached_entry(_KIND, fingerprint, make, cache=cache)
