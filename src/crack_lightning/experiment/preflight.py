"""Preflight checks before torch is imported, and drawing of tiles meanwhile."""

from __future__ import annotations

import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.data.sources import LoadContext, find_source
from crack_lightning.runtime.cache import cache_folder
from crack_lightning.runtime.errors import ConfigError, DataError
from crack_lightning.runtime.hardware import available_cores
from crack_lightning.training.state import RunState

if TYPE_CHECKING:
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


def draw_in_background(config: TrainConfig) -> AbstractContextManager[None]:
    """Draw synthetic tiles in the background while the block runs."""
    in_background = find_source(config.data.source).in_background
    if in_background is None:
        return nullcontext()
    context = LoadContext(
        cache=cache_folder(),
        num_workers=config.data.drawing_processes(config.trainer.threads or available_cores()),
        show_progress=config.progress,
    )
    return in_background(config.data, context)
