"""What a command can begin before torch is imported, which takes as long."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING

from crack_lightning.cache_entries import cache_folder
from crack_lightning.hardware import available_cores

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from crack_lightning.config import TrainConfig


def tiles_meanwhile(config: TrainConfig) -> AbstractContextManager[None]:
    """Draw the tiles, where they are drawn, while the block runs."""
    if config.data.source != "synthetic":
        return nullcontext()
    from crack_lightning.data.sources.synthetic import drawn_meanwhile

    return drawn_meanwhile(
        cache=cache_folder(),
        num_workers=config.trainer.threads or available_cores(),
        show_progress=config.progress,
        seed=config.data.seed,
        **asdict(config.data.drawn),
    )
