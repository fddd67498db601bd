"""Preflight checks before torch is imported; tiles drawn or scanned in the background."""

from __future__ import annotations

import logging
import multiprocessing
import shlex
import signal
import sys
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crack_lightning.data.sources import LoadContext, find_source
from crack_lightning.runtime.cache import cache_folder
from crack_lightning.runtime.errors import ConfigError, DataError
from crack_lightning.runtime.hardware import available_cores
from crack_lightning.runtime.processes import exit_with_parent
from crack_lightning.training.state import RunState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from crack_lightning.config import TrainConfig
    from crack_lightning.config.nodes.data import DataConfig


def preflight_data(data: DataConfig) -> None:
    """Refuse missing sources and missing lists of tiles.

    Raises:
        CrackLightningError: If there is one.
    """
    for key, file in (("data.exclude", data.exclude), ("data.split.file", data.split.file)):
        if file is not None and not Path(file).is_file():
            raise DataError(f"{key}: a CSV file is expected, got '{file}', which is none; check the path.")
    find_source(data.source).preflight(data)


def require_tiles_of_run(folder: Path, data: DataConfig) -> None:
    """Refuse to resume a run whose data were moved; a finished run needs no data.

    Args:
        folder: The run's folder.
        data: The run's data settings.

    Raises:
        CrackLightningError: If the data are missing, with what to add to the command.
    """
    if RunState.is_finished(folder):
        return
    try:
        preflight_data(data)
    except (ConfigError, DataError) as error:
        command = f"resume={shlex.quote(str(folder))}"
        raise type(error)(
            f"{error} If the data are elsewhere now, give their path beside {command}, as in "
            "data.root=<folder>."
        ) from None


def prepare_in_background(config: TrainConfig) -> AbstractContextManager[None]:
    """Draw synthetic tiles, or scan ``data.root``, while the block runs, which imports torch.

    Both fill the cache for the run. Files are not scanned where torch is imported already, as in a sweep's
    job, nor where the run would scan them again or has to download them first.
    """
    threads = config.trainer.threads or available_cores()
    source = find_source(config.data.source)
    if source.in_background is not None:
        context = LoadContext(
            cache=cache_folder(),
            num_workers=config.data.drawing_processes(threads),
            show_progress=config.progress,
        )
        return source.in_background(config.data, context)
    data = config.data
    has_files = getattr(data, "root", None) is not None and not source.is_prepared
    if not has_files or data.rescan or config.resume is not None or "torch" in sys.modules:
        return nullcontext()
    return _scan_in_background(data, threads=threads, progress=config.progress)


@contextmanager
def _scan_in_background(data: DataConfig, *, threads: int, progress: bool) -> Iterator[None]:
    """Read the tiles in a process of its own, and wait for it after the block.

    Errors and notes are left to the run, which reads the tiles again, from the cache.
    """
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    process = context.Process(target=_scan, args=(data, threads, progress))
    process.start()
    try:
        yield
        process.join()
    finally:
        process.kill()
        process.join()


def _scan(data: DataConfig, threads: int, progress: bool) -> None:  # noqa: FBT001
    from crack_lightning.experiment.load_data import read_tiles  # OpenCV, which the parent imports later

    exit_with_parent()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    logging.disable()
    with suppress(Exception), redirect_stdout(None):
        read_tiles(data, threads=threads, progress=progress, near_duplicates=True)
