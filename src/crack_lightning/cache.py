"""``python -m crack_lightning.cache``: what is kept between runs, and how to be rid of it."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING

from crack_lightning.cache_entries import cache_folder
from crack_lightning.cli import HELP, main
from crack_lightning.errors import CrackLightningError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


_NOTES = ("made_of.json", "entry.json")
_LEFTOVER = re.compile(r"[.][0-9a-f]{20}[.](.*[.])?(part|lock)")


def run(arguments: Sequence[str]) -> int:
    """List the cache, or empty it with ``clear``.

    Raises:
        CrackLightningError: For any other argument.
    """
    folder = cache_folder()
    if not HELP.isdisjoint(arguments):
        print(f"usage: crack-lightning cache [list | clear]\nwhat is kept between runs, in {folder}")
        return 0
    if list(arguments) not in ([], ["list"], ["clear"]):
        raise CrackLightningError(f"cache: expected list or clear, got '{' '.join(arguments)}'.")
    entries = sorted({note.parent for name in _NOTES for note in folder.glob(f"*/*/{name}")})
    sizes = {entry: _size(entry) for entry in entries}
    for entry, size in sizes.items():
        print(f"{size / 2**20:10.1f} MiB  {entry.relative_to(folder).as_posix()}")
    total = f"{sum(sizes.values()) / 2**20:.1f} MiB in {len(entries)} entries under {folder}"
    if list(arguments) == ["clear"]:
        _clear(folder, entries)
        print(f"cleared {total}")
    else:
        print(total)
    return 0


def _clear(folder: Path, entries: Sequence[Path]) -> None:
    """Remove entries and what their makers left; the folder may be one that holds other things, too."""
    leftovers = [path for path in folder.glob("*/.*") if _LEFTOVER.fullmatch(path.name)]
    for path in (*entries, *leftovers):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for kind in {path.parent for path in (*entries, *leftovers)}:
        if not any(kind.iterdir()):
            kind.rmdir()


def _size(entry: Path) -> int:
    return sum(file.stat().st_size for file in entry.rglob("*") if file.is_file())


if __name__ == "__main__":
    sys.exit(main(["cache", *sys.argv[1:]]))
