"""``python -m crack_lightning.cache``: list or clear the cache."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from crack_lightning.cli.main import HELP, main
from crack_lightning.runtime.cache import cache_folder
from crack_lightning.runtime.cache_contents import clear, entries, size
from crack_lightning.runtime.errors import CrackLightningError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def run(arguments: Sequence[str]) -> int:
    """List the cache, or empty it with ``clear``.

    Raises:
        CrackLightningError: For any other argument.
    """
    folder = cache_folder()
    if not HELP.isdisjoint(arguments):
        print(
            f"usage: crack-lightning cache [list | clear]\nthe cache of files kept between runs, in {folder}"
        )
        return 0
    if list(arguments) not in ([], ["list"], ["clear"]):
        raise CrackLightningError(f"cache: expected list or clear, got '{' '.join(arguments)}'.")
    listed = entries(folder)
    sizes = {entry: size(entry) for entry in listed}
    for entry, num_bytes in sizes.items():
        print(f"{num_bytes / 2**20:10.1f} MiB  {entry.relative_to(folder).as_posix()}")
    if list(arguments) != ["clear"]:
        print(f"{_total(sizes.values())} under {folder}")
        return 0
    in_use = clear(folder, listed)
    print(f"cleared {_total(sizes[entry] for entry in listed if entry not in in_use)} under {folder}")
    if in_use:
        print(f"left {len(in_use)} that other processes are writing: {', '.join(map(str, in_use))}")
    return 0


def _total(sizes: Iterable[int]) -> str:
    listed = list(sizes)
    return f"{sum(listed) / 2**20:.1f} MiB in {len(listed)} entries"


if __name__ == "__main__":
    sys.exit(main(["cache", *sys.argv[1:]]))
