"""Audit of a data set: files, near-duplicates, classes and groups, on a page; changes no file of the set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich import print as show

from crack_lightning.config import write_config
from crack_lightning.data.columns import NEAR_DUPLICATES
from crack_lightning.data.scan.audit import Audit, audit_tiles
from crack_lightning.data.scan.scan import scan_files
from crack_lightning.experiment.load_data import load_tiles, recovers_photos
from crack_lightning.report.audit_page import audit_contents, audit_page, closing_table
from crack_lightning.runtime.cache import cache_folder
from crack_lightning.runtime.files.atomic_write import write_text
from crack_lightning.runtime.files.csv_files import write_table
from crack_lightning.runtime.files.run_folder import ensure_folder, lock_folder, log_to
from crack_lightning.runtime.hardware import available_cores

if TYPE_CHECKING:
    from crack_lightning.config import AuditConfig


def run_audit(config: AuditConfig, *, folder: Path | None = None, command: str = "") -> Path:
    """Audit every file of a set, and write ``audit.json``, ``audit.csv`` and ``audit.html``.

    Args:
        config: Checked settings.
        folder: The audit's folder; a new one by default.
        command: What the user typed, for the page.

    Returns:
        The folder.

    Raises:
        DataError: If there is no such set.
    """
    folder = ensure_folder(folder, base=Path(config.outputs), name=f"audit_{config.data.source}")
    threads = config.trainer.threads or available_cores()
    with lock_folder(folder), log_to(folder / "run.log"):
        write_config(config, folder / "config.yaml")
        table, excluded = load_tiles(config.data, threads=threads, progress=config.progress)
        scan = scan_files(
            table.root,
            table.path,
            rescan=config.data.rescan,
            near_duplicates=True,
            adjacent=recovers_photos(config.data, table),
            num_workers=threads,
            show_progress=config.progress,
            cache=cache_folder(),
        )
        audit = audit_tiles(table, scan)
        contents = audit_contents(
            audit, title=f"Audit of {config.data.source}", command=command, left_out=len(excluded)
        )
        write_text(folder / "audit.json", json.dumps(contents, indent=1, ensure_ascii=False) + "\n")
        write_audit_csv(audit, folder / "audit.csv")
        write_text(folder / "audit.html", audit_page(contents, audit))
        show(closing_table(contents))
        print(f"Page: {folder / 'audit.html'}")  # rich would wrap the path
    return folder


def write_audit_csv(audit: Audit, path: Path) -> None:
    """Write the findings of each tile; a selection of rows can serve ``data.exclude``.

    Columns: ``path,label,group,sha256,near_duplicate_group,flags``.
    """
    table = audit.table
    columns = {
        "path": table.path,
        "label": np.array(table.class_names)[table.label],
        "group": table.group,
        "sha256": table.sha256,
        "near_duplicate_group": table.extra[NEAR_DUPLICATES],
    }
    rows = zip(*(column.tolist() for column in columns.values()), audit.flags(), strict=True)
    write_table(path, [*columns, "flags"], rows)
