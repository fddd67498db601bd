"""``python -m crack_lightning.evaluate``: evaluate a checkpoint on another data set."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from crack_lightning.cli.arguments import shell_line
from crack_lightning.cli.main import main
from crack_lightning.config import EvaluateConfig, parse, require_checkpoint
from crack_lightning.experiment.preflight import preflight_data
from crack_lightning.runtime.hardware import import_without_gc

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from omegaconf import DictConfig


def run(composed: DictConfig, *, overrides: Sequence[str], folder: Path | None = None) -> int:
    """Evaluate as configured; arguments and exit code as in :func:`crack_lightning.audit.run`."""
    config = parse(composed, EvaluateConfig)
    require_checkpoint(config.checkpoint)
    preflight_data(config.data)
    with import_without_gc():
        from rich import print as show

        from crack_lightning.experiment.evaluation_run import run_evaluation
        from crack_lightning.report.render.console import closing_table

    result = run_evaluation(config, folder=folder, command=shell_line("evaluate", overrides))
    show(closing_table(result.contents))
    print(f"Report: {result.report.with_suffix('.html')}")  # plain, so that no path is broken
    return 0


if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
