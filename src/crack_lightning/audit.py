"""``python -m crack_lightning.audit``: audit a set of tiles for duplicates, label errors and outliers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from crack_lightning.cli.arguments import shell_line
from crack_lightning.cli.main import main
from crack_lightning.config import AuditConfig, parse
from crack_lightning.experiment.preflight import preflight_data

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from omegaconf import DictConfig


def run(composed: DictConfig, *, overrides: Sequence[str], folder: Path | None = None) -> int:
    """Audit as configured.

    Args:
        composed: Configuration that Hydra composed.
        overrides: Overrides on the command line, ``key=value`` each.
        folder: An existing folder for the results; by default a new one under ``outputs``.

    Returns:
        The exit code.
    """
    config = parse(composed, AuditConfig)
    preflight_data(config.data)
    from crack_lightning.experiment.audit_run import run_audit

    run_audit(config, folder=folder, command=shell_line("audit", overrides))
    return 0


if __name__ == "__main__":
    sys.exit(main(["audit", *sys.argv[1:]]))
