"""Features of a frozen backbone by shards on a Ray cluster: the same bits as on one machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from crack_lightning.data.io.decoding import UnreadableImageError
from crack_lightning.data.io.loading import map_in_order
from crack_lightning.data.scan.progress import progress_bar
from crack_lightning.model.backends.select import prepare_backend
from crack_lightning.model.ood.image_statistics import NUM_STATISTICS, image_statistics
from crack_lightning.runtime.cache import cache_folder
from crack_lightning.runtime.cluster.shard_cache import compute_shards, drop_shards, read_columns
from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.hardware import configure_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from crack_lightning.data.split_tiles import SplitTiles
    from crack_lightning.model.backends.registry import Compute
    from crack_lightning.runtime.cluster.ray_tasks import Reservation
    from crack_lightning.training.cached_statistics import CachedStatistics

_BUILT: dict[str, Compute] = {}
"""The backend of the last network of this process, by digest and engine."""


@dataclass(frozen=True, kw_only=True)
class FeatureWork:
    """What the tasks of a feature pass share.

    Attributes:
        tiles: The tiles.
        network: From images, uint8 ``(N, 3, S, S)``, to features, float32 ``(N, D)``.
        network_digest: Digest of its weights.
        engine: The engine that was selected for all.
        threads: Compute threads of a task.
        shard_size: Tiles in a shard, rounded up to whole batches.
        view: Number of the augmented view, or ``None`` for the tiles themselves.
    """

    tiles: SplitTiles
    network: nn.Module
    network_digest: str
    engine: str
    threads: int
    shard_size: int
    view: int | None

    def fingerprint(self, rows: NDArray[np.int64]) -> dict[str, object]:
        """Return everything that determines the features of some rows."""
        made_of: dict[str, object] = {
            "features": sha256("\n".join(self.tiles.table.sha256[rows].tolist()).encode()).hexdigest(),
            "network": self.network_digest,
            "image_size": self.tiles.dataset.image_size,
            "batch_size": self.tiles.batch_size,
            "engine": self.engine,
            "threads": self.threads,
            "torch": torch.__version__,
        }
        if self.view is not None:
            augmentation = asdict(self.tiles.augmentation)
            made_of |= {"view": self.view, "seed": self.tiles.seed, "augmentation": augmentation}
            made_of["rows"] = sha256(rows.tobytes()).hexdigest()
        return made_of


@dataclass(frozen=True, kw_only=True)
class FeatureShard:
    """Batches of rows of a shard, and whether each row needs image statistics, in the same order."""

    batches: list[list[int]]
    scored: NDArray[np.bool_]


def features_by_shards(
    work: FeatureWork,
    batches: list[list[int]],
    *,
    statistics: CachedStatistics,
    cache: Path,
    reservation: Reservation,
    title: str | None,
) -> Iterator[torch.Tensor]:
    """Yield the features of each shard, float32 ``(M, D)``, in order; store the statistics of its tiles.

    Args:
        work: What the tasks share.
        batches: Rows of each batch.
        statistics: Of the rows that need them; stored for unaugmented tiles only.
        cache: The cache folder, in which finished shards wait for the others.
        reservation: What each task reserves.
        title: Title of a progress bar; ``None`` for no bar.
    """
    size = -(-work.shard_size // max(map(len, batches)))
    parts = [batches[start : start + size] for start in range(0, len(batches), size)]
    rows = [np.concatenate([np.array(batch, np.int64) for batch in part]) for part in parts]
    needed = [np.isin(own, statistics.rows) & (work.view is None) for own in rows]
    bar = iter(progress_bar(range(len(parts)), title, total=len(parts)))
    paths = compute_shards(
        features_of_shard,
        work,
        [FeatureShard(batches=part, scored=own) for part, own in zip(parts, needed, strict=True)],
        [
            work.fingerprint(own) | {"scored": sha256(flags.tobytes()).hexdigest()}
            for own, flags in zip(rows, needed, strict=True)
        ],
        cache=cache,
        reservation=reservation,
        on_shard=lambda: next(bar),
    )
    for own, path in zip(rows, paths, strict=True):
        columns = read_columns(path)
        if work.view is None:
            statistics.put(own, columns["statistics"])
        yield torch.from_numpy(columns["features"])
    drop_shards(paths)


def features_of_shard(work: FeatureWork, shard: FeatureShard) -> dict[str, NDArray[Any]]:
    """Compute a shard in a process of a node.

    Raises:
        DataError: If the node cannot read a tile.
    """
    compute, tiles = _backend(work), work.tiles

    def features_of(rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        batch = tiles.dataset.read(rows, threads=1)
        images = batch["image"]
        if work.view is not None:
            images = tiles.view(images, batch["index"], epoch=work.view)
        return compute(images), batch["image"]

    statistics = np.full((len(shard.scored), NUM_STATISTICS), np.nan, np.float32)
    features, place = [], 0
    try:
        for values, images in map_in_order(features_of, shard.batches):
            features.append(values.numpy())
            scored = shard.scored[place : place + len(images)]
            if scored.any():
                own = image_statistics(images[torch.from_numpy(scored)]).numpy()
                statistics[place : place + len(images)][scored] = own
            place += len(images)
    except UnreadableImageError as error:
        raise unreadable_on_node(error) from None
    return {"features": np.concatenate(features), "statistics": statistics}


def unreadable_on_node(error: UnreadableImageError) -> DataError:
    """Return the error for a tile that the run's machine could read and this node cannot."""
    import ray

    node = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    return DataError(
        f"data: the node {node} of the cluster cannot read a tile that this machine has read ({error}); keep "
        "the tiles on a disk that all nodes mount under the same path."
    )


def _backend(work: FeatureWork) -> Compute:
    """Return the network's compute function in this process, built for its first shard."""
    key = f"{work.network_digest} {work.engine} {work.threads}"
    if key not in _BUILT:
        _BUILT.clear()
        configure_process(work.threads)
        _, _BUILT[key] = prepare_backend(
            work.network,
            wanted=work.engine,
            image_size=work.tiles.dataset.image_size,
            threads=work.threads,
            cache=cache_folder(),
            key="recipe.engine",
        )
    return _BUILT[key]
