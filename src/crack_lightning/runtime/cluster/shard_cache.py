"""Results of a cluster's shards, kept in the cache until all are computed, as Parquet files."""

from __future__ import annotations

import shutil
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from crack_lightning.runtime.cache import cached_entry, is_cached
from crack_lightning.runtime.cluster.ray_tasks import run_shards
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from crack_lightning.runtime.cluster.ray_tasks import Reservation

    Columns = dict[str, NDArray[Any]]

KIND, _FILE = "shards", "part.parquet"
T = TypeVar("T")


def require_parquet() -> None:
    """Refuse a run on a cluster without pyarrow.

    Raises:
        ConfigError: If it is not installed.
    """
    if find_spec("pyarrow") is None:
        raise ConfigError(
            "cluster: results are written as Parquet by pyarrow, which is not installed; run pip install "
            "'crack-lightning[ray]', or leave cluster out."
        )


def compute_shards(
    work: Callable[[Any, T], Columns],
    shared: Any,
    shards: Sequence[T],
    fingerprints: Sequence[Mapping[str, object]],
    *,
    cache: Path,
    reservation: Reservation,
    on_shard: Callable[[], object],
) -> list[Path]:
    """Compute the shards that the cache lacks on a cluster.

    Args:
        work: As for :func:`~crack_lightning.runtime.cluster.ray_tasks.run_shards`; returns columns of M rows,
            ``(M,)`` or ``(M, D)``.
        shared: Sent once to each node.
        shards: S shards.
        fingerprints: Everything that determines the result of each, S of them.
        cache: The cache folder.
        reservation: What each task reserves.
        on_shard: Called for each shard that is done.

    Returns:
        The file of each shard, S of them.

    Raises:
        ConfigError: If Ray or pyarrow is not installed, or no cluster answers.
        CrackLightningError: Raised by ``work``; if a shard was lost too often, once all others are done.
    """
    require_parquet()
    missing = [n for n, made_of in enumerate(fingerprints) if not is_cached(KIND, made_of, cache=cache)]
    for _ in range(len(shards) - len(missing)):
        on_shard()
    if missing:
        numbered = ((number, shards[number]) for number in missing)
        for (number, _), result in run_shards(_Numbered(work), shared, numbered, reservation=reservation):
            make = partial(_write, columns=result.content)
            cached_entry(KIND, fingerprints[number], make, cache=cache)
            on_shard()
    return [cached_entry(KIND, made_of, _gone, cache=cache) / _FILE for made_of in fingerprints]


def read_columns(path: Path) -> Columns:
    """Return the columns of a shard's file."""
    from pyarrow import parquet

    table = parquet.read_table(path, partitioning=None)
    return {name: _array(table.column(name)) for name in table.column_names}


def drop_shards(paths: Sequence[Path]) -> None:
    """Remove cached results that are stored elsewhere."""
    for path in paths:
        shutil.rmtree(path.parent, ignore_errors=True)


class _Numbered:
    """Calls ``work`` with a shard, without its number."""

    def __init__(self, work: Callable[[Any, T], Columns]) -> None:
        self._work = work

    def __call__(self, shared: Any, shard: tuple[int, Any]) -> Columns:
        return self._work(shared, shard[1])


def write_columns(path: Path, columns: Columns) -> None:
    """Write columns of M rows, ``(M,)`` or ``(M, D)``, as a Parquet file, atomically."""
    import pyarrow as pa
    from pyarrow import parquet

    arrays = {
        name: pa.array(column)
        if column.ndim == 1
        else pa.FixedSizeListArray.from_arrays(pa.array(column.ravel()), column.shape[1])
        for name, column in columns.items()
    }
    with atomic_write(path) as temporary:
        parquet.write_table(pa.table(arrays), temporary, compression="zstd")


def _write(folder: Path, *, columns: Columns) -> None:
    write_columns(folder / _FILE, columns)


def _array(column: Any) -> NDArray[Any]:
    chunk = column.combine_chunks()
    if not hasattr(chunk.type, "list_size"):
        return np.array(chunk.to_numpy(zero_copy_only=False))
    return np.array(chunk.flatten().to_numpy()).reshape(len(chunk), chunk.type.list_size)


def _gone(_: Path) -> None:
    raise AssertionError("a shard left the cache while others were computed")
