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
    """Compare as configured; arguments and exit code as in :func:`crack_lightning.audit.run`."""
    config = parse(composed, CompareConfig)
    from rich import print as show

    from crack_lightning.comparison.comparison import compare_folders, write_comparison
    from crack_lightning.comparison.tables import comparison_table
    from crack_lightning.runtime.files.run_folder import ensure_folder

    contents = compare_folders([Path(path) for path in config.runs], tested=config.tested)
    folder = ensure_folder(folder, base=Path(config.outputs), name="compare")
    write_comparison(contents, folder, command=shell_line("compare", overrides))
    show(comparison_table(contents))
    print(f"Comparison: {folder / 'comparison.html'}")  # plain, so that no path is broken
    return 0


if __name__ == "__main__":
    sys.exit(main(["compare", *sys.argv[1:]]))
