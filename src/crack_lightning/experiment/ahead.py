"""What a command can begin, or refuse, before torch is imported, which takes as long."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.cache_entries import cache_folder
from crack_lightning.data.sources import require_files
from crack_lightning.hardware import available_cores

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from crack_lightning.config import TrainConfig
    from crack_lightning.config.data import DataConfig


def require_tiles(data: DataConfig) -> None:
    """Refuse sources whose files nothing leads to.

    Raises:
        CrackLightningError: If there is one.
    """
    parts = data.parts().values() if data.source == "mixed" else [data]
    for part in parts:
        if data.source == "mixed" and part.source == "painted":
            continue  # on the tiles of another part
        require_files(
            part.kind,
            root=Path(part.root) if part.root else None,
            archive=Path(part.archive) if part.archive else None,
            download=part.download,
        )


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
