"""Writing of a source's tiles as shards, resumed after an interruption."""

from __future__ import annotations

import logging
import shlex
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.config import write_config
from crack_lightning.data.scan.prepare import describe
from crack_lightning.data.shards.writing import write_shards
from crack_lightning.experiment.load_data import read_tiles, split_tiles
from crack_lightning.runtime.errors import Interrupted
from crack_lightning.runtime.files.run_folder import ensure_folder, lock_folder, log_to
from crack_lightning.runtime.hardware import available_cores
from crack_lightning.runtime.processes import raise_on_sigterm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crack_lightning.config import ShardsConfig

_log = logging.getLogger(__name__)


def run_shards(config: ShardsConfig, *, folder: Path | None = None) -> Path:
    """Check, group and split the tiles of a source as ``train`` does, and write them as shards.

    Args:
        config: Checked settings; the folder's own where writing is resumed.
        folder: Folder of the shards; a new one by default.

    Returns:
        The folder.

    Raises:
        DataError: If there is no such set, a tile cannot be read, or the disk is full.
    """
    folder = ensure_folder(folder, base=Path(config.outputs), name=f"shards_{config.data.source}")
    threads = config.trainer.threads or available_cores()
    with lock_folder(folder), log_to(folder / "run.log"), _interruptible(folder):
        config.resume = None
        write_config(config, folder / "config.yaml")
        table, skipped = read_tiles(
            config.data, threads=threads, progress=config.progress, near_duplicates=True
        )
        if config.assign_splits:
            table = split_tiles(table, config.data, splits_path=folder / "splits.csv")
            _log.info("data: %s", describe(table))
        manifest = write_shards(
            table, folder, tiles_per_shard=config.tiles_per_shard, show_progress=config.progress
        )
        left_out = f", {len(skipped):,} left out" if skipped else ""
        _log.info(
            "wrote %s tiles in %s shards%s: data=shards %s",
            f"{manifest.num_tiles:,}",
            f"{len(manifest.shards):,}",
            left_out,
            shlex.quote(f"data.root={folder}"),
        )
    return folder


@contextmanager
def _interruptible(folder: Path) -> Iterator[None]:
    """Log how to resume where the block is interrupted; SIGTERM interrupts it too."""
    with raise_on_sigterm():
        try:
            yield
        except (KeyboardInterrupt, Interrupted):
            again = shlex.quote(f"resume={folder}")
            _log.info("stopped; to continue: python -m crack_lightning.shards %s", again)
            raise
