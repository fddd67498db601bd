"""``python -m crack_lightning.compare``: compare finished runs, with tests of their differences."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.cli.arguments import shell_line
from crack_lightning.cli.main import main
from crack_lightning.config import CompareConfig, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omegaconf import DictConfig


def run(composed: DictConfig, *, overrides: Sequence[str], folder: Path | None = None) -> int:
    """Compare as configured; arguments and exit code as of :func:`crack_lightning.audit.run`."""
    config = parse(composed, CompareConfig)
    from rich import print as show

    from crack_lightning.comparison.comparison import write_comparison
    from crack_lightning.comparison.run_results import run_folders
    from crack_lightning.comparison.tables import comparison_table
    from crack_lightning.runtime.files.run_folder import ensure_folder

    runs = run_folders([Path(path) for path in config.runs])
    folder = ensure_folder(folder, base=Path(config.outputs), name="compare")
    contents = write_comparison(
        runs, folder, title=f"Comparison of {len(runs)} runs", command=shell_line("compare", overrides)
    )
    show(comparison_table(contents))
    print(f"Comparison: {folder / 'comparison.html'}")  # plain, so that no path is broken
    return 0


if __name__ == "__main__":
    sys.exit(main(["compare", *sys.argv[1:]]))
