"""``python -m crack_lightning.train``: fit a model, test its best checkpoint, write the report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.cli.arguments import shell_line
from crack_lightning.cli.main import main
from crack_lightning.config import (
    TrainConfig,
    parse,
    plugin_names,
    require_weights,
    resumed_config,
    take_moved_data,
)
from crack_lightning.experiment.preflight import preflight_data, prepare_in_background, require_tiles_of_run
from crack_lightning.runtime.hardware import import_without_gc
from crack_lightning.runtime.plugins import import_plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omegaconf import DictConfig


def run(
    composed: DictConfig,
    *,
    overrides: Sequence[str],
    folder: Path | None = None,
    report: Callable[[float, dict[str, float]], bool] | None = None,
) -> int:
    """Train as configured.

    Args:
        composed: Configuration that Hydra composed.
        overrides: Overrides on the command line, ``key=value`` each.
        folder: An existing folder for the results; by default a new one under ``outputs``.
        report: Receives the share of completed epochs and the validation metrics after each epoch; returns
            whether to prune the run.

    Returns:
        The exit code.
    """
    import_plugins(plugin_names(composed))
    moved = take_moved_data(composed, overrides)
    config = parse(composed, TrainConfig)
    if config.resume is not None:
        folder = Path(config.resume)
        config = resumed_config(folder, current=config, overrides=overrides, moved=moved)
        require_tiles_of_run(folder, config.data)
    else:
        config.require_read(overrides)
        require_weights(config.model.weights)
        preflight_data(config.data)
    if config.trainer.nodes > 1:
        from crack_lightning.experiment.fit_end_to_end import join_training

        if join_training(config.trainer.nodes):
            return 0
    with prepare_in_background(config), import_without_gc():
        from rich import print as show

        from crack_lightning.experiment.training_run import run_training
        from crack_lightning.report.render.console import closing_table

    result = run_training(config, folder=folder, command=shell_line("train", overrides), report=report)
    show(closing_table(result.contents))
    print(f"Report: {result.report.with_suffix('.html')}")  # rich would wrap the path
    return 0


if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
