"""``python -m crack_lightning.shards``: write the tiles of a source as shards."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.cli.main import main
from crack_lightning.config import ShardsConfig, parse, resumed_shards
from crack_lightning.experiment.preflight import preflight_data
from crack_lightning.runtime.files.paths import expand_user

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omegaconf import DictConfig


def run(composed: DictConfig, *, overrides: Sequence[str], folder: Path | None = None) -> int:
    """Write shards as configured; arguments and exit code as in :func:`crack_lightning.audit.run`."""
    if composed.resume is not None:
        folder = Path(expand_user(str(composed.resume)))
        config = resumed_shards(folder, progress=bool(composed.progress), overrides=overrides)
    else:
        config = parse(composed, ShardsConfig)
    preflight_data(config.data)
    from crack_lightning.experiment.shards_run import run_shards

    run_shards(config, folder=folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(["shards", *sys.argv[1:]]))
