"""``python -m crack_lightning.predict``: predict images with a checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.cli.main import main
from crack_lightning.config import PredictConfig, parse, require_checkpoint, resumed_prediction
from crack_lightning.runtime.files.paths import expand_user
from crack_lightning.runtime.hardware import import_without_gc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omegaconf import DictConfig


def run(composed: DictConfig, *, overrides: Sequence[str], folder: Path | None = None) -> int:
    """Predict as configured; arguments and exit code as in :func:`crack_lightning.audit.run`."""
    if composed.resume is not None:
        folder = Path(expand_user(str(composed.resume)))
        config = resumed_prediction(
            folder,
            progress=bool(composed.progress),
            cluster=composed.cluster,
            overrides=overrides,
        )
    else:
        config = parse(composed, PredictConfig)
    require_checkpoint(config.checkpoint)
    from crack_lightning.inference.image_files import find_images

    pictures, left_out = find_images(config.source)
    with import_without_gc():
        from crack_lightning.inference.prediction import run_prediction

    run_prediction(config, pictures, left_out=left_out, folder=folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(["predict", *sys.argv[1:]]))
