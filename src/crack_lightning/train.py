"""``python -m crack_lightning.train``: fit a model, test its best checkpoint, write the report."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.cli import main
from crack_lightning.config import TrainConfig, parse, resumed_config
from crack_lightning.hardware import available_cores
from crack_lightning.run_folder import cache_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from omegaconf import DictConfig

SCHEMA = TrainConfig


def run(composed: DictConfig, *, overrides: Sequence[str], folder: Path | None = None) -> int:
    """Train as configured.

    Args:
        composed: What Hydra composed.
        overrides: What the user typed, ``key=value`` each.
        folder: The run's folder, made already; a new one under ``outputs`` by default.

    Returns:
        The exit code.
    """
    config = parse(composed, TrainConfig)
    if config.resume:
        folder = Path(config.resume)
        config = resumed_config(folder, asked=config, overrides=overrides)
    with _tiles_meanwhile(config):
        from rich import print as show

        from crack_lightning.experiment import run_training
        from crack_lightning.report.console import closing_table

    result = run_training(
        config, folder=folder, command=shlex.join(["python", "-m", "crack_lightning.train", *overrides])
    )
    show(closing_table(result.contents, report_path=result.report))
    return 0


def _tiles_meanwhile(config: TrainConfig) -> AbstractContextManager[None]:
    """Draw the tiles, where they are drawn, while torch and Lightning are imported."""
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


if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
