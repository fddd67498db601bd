"""A pool of processes that render photos in order, with the same pixels for any number of processes."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from itertools import count
from typing import IO, TYPE_CHECKING

import cv2
import numpy as np

from crack_lightning.data.synthesis.scene import Tile, cut_tiles, draw_photo
from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.processes import describe_exit

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_PHOTOS_AHEAD = 4


def render_photos(
    *, seed: int, tile_px: int, photo_tiles: int, num_workers: int
) -> Generator[list[Tile], None, None]:
    """Yield the tiles of photo 0, 1, 2, … without end; close the generator to stop the workers.

    Args:
        seed: Seed of the photos; photo ``i`` draws from ``np.random.default_rng([seed, i])`` alone.
        tile_px: Side of a tile, pixels.
        photo_tiles: Tiles along each side of a photo.
        num_workers: Processes; ``0`` draws in this one.

    Raises:
        DataError: If a worker dies.
    """
    settings = (seed, tile_px, photo_tiles)
    if num_workers == 0 or not sys.executable:
        yield from (_render_tiles(photo, *settings) for photo in count())
        return
    workers = [_Worker(*settings, first, num_workers) for first in range(num_workers)]
    try:
        for photo in count():
            yield workers[photo % num_workers].next_photo()
    finally:
        for worker in workers:
            worker.stop()


def _render_tiles(photo: int, seed: int, tile_px: int, photo_tiles: int) -> list[Tile]:
    side = tile_px * photo_tiles
    return list(cut_tiles(draw_photo(np.random.default_rng([seed, photo]), side, side), tile_px=tile_px))


class _Worker:
    """A process that renders every ``n``-th photo.

    It runs this module afresh. Forking would copy a process in which torch may have started threads, and
    multiprocessing's spawn would import the caller's main module again, with all that it imports and does.
    joblib's loky is as fast, but its processes outlive a parent that is killed, and stopping before all
    photos are drawn raises errors in its threads (joblib 1.6).
    """

    def __init__(self, *numbers: int) -> None:
        command = [sys.executable, "-m", __name__, *map(str, numbers)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)  # noqa: S603
        self._photos: queue.Queue[list[Tile] | None] = queue.Queue(_PHOTOS_AHEAD)
        self._stopped = False
        assert self._process.stdout is not None, "opened with a pipe"
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def next_photo(self) -> list[Tile]:
        tiles = self._photos.get()
        if tiles is None:
            raise DataError(
                f"data.num_workers: a drawing process {describe_exit(self._process.wait())}; what it said is "
                "above; set data.num_workers=0 to draw without such processes."
            )
        return tiles

    def stop(self) -> None:
        self._stopped = True
        self._process.kill()
        while self._reader.is_alive():
            try:
                self._photos.get(timeout=0.01)
            except queue.Empty:
                continue
        self._process.wait()

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            try:
                while not self._stopped:
                    self._photos.put(pickle.load(pipe))  # noqa: S301 - our own child wrote it
            except Exception:  # noqa: BLE001  # whatever half a photo raises: its process has ended
                self._photos.put(None)


def _serve(numbers: Iterator[int]) -> None:
    """Write photos ``first``, ``first + step``, … to standard output until its reader closes it."""
    seed, tile_px, photo_tiles, first, step = numbers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    cv2.setNumThreads(1)
    try:
        for photo in count(first, step):
            pickle.dump(_render_tiles(photo, seed, tile_px, photo_tiles), sys.stdout.buffer)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    _serve(map(int, sys.argv[1:]))
