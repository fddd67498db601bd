"""Prediction by shards on a Ray cluster: the same rows and images as on one machine."""

from __future__ import annotations

import logging
import tempfile
import uuid
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crack_lightning.config.nodes.cluster import PHOTOS_A_SHARD
from crack_lightning.data.io.decoding import BROKEN_LINK, NO_FILE, UnreadableImageError, decode_image
from crack_lightning.inference.maps.crack_map import TILE_COLUMNS
from crack_lightning.inference.photo_work import PhotoWork, image_places
from crack_lightning.inference.tables.prediction_parts import (
    PREDICTION_PARTS,
    TILE_PARTS,
    ParquetParts,
    storable,
)
from crack_lightning.inference.tables.prediction_rows import PredictionColumns
from crack_lightning.model.weights.builtin import BUILTIN
from crack_lightning.model.weights.checkpoints import load_trained
from crack_lightning.runtime.cluster.ray_tasks import run_shards
from crack_lightning.runtime.cluster.shard_cache import require_parquet
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.files.atomic_write import atomic_write
from crack_lightning.runtime.hardware import available_cores, configure_process, plan_hardware

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from crack_lightning.config import PredictConfig

log = logging.getLogger(__name__)
_LOADED: dict[str, tuple[PhotoWork, PredictionColumns]] = {}
"""The model of the last run of this process, by token."""


class ShardPhoto(NamedTuple):
    """A photo of a shard: its file, and the relative path of its images."""

    path: Path
    place: Path


@dataclass(frozen=True, kw_only=True)
class ShardedModel:
    """A model and settings that every task of a run shares.

    Attributes:
        config: Settings, with the engine that was selected for all.
        checkpoint: Bytes of the checkpoint's file, which nodes need not have; empty for ``builtin``.
        threads: Compute threads of a task.
        token: Name of the run, by which a process keeps the model for its next shard.
    """

    config: PredictConfig
    checkpoint: bytes
    threads: int
    token: str


@dataclass(frozen=True, kw_only=True)
class ShardPredictions:
    """Predictions of a shard.

    Attributes:
        rows: Cells of ``predictions.csv``.
        tiles: Cells of ``tiles.csv``.
        images: Contents of the written images, by path relative to the run's folder.
    """

    rows: list[list[str]]
    tiles: list[Sequence[object]]
    images: dict[str, bytes]


def rows_on_cluster(
    work: PhotoWork, config: PredictConfig, photos: list[Path], folder: Path, columns: PredictionColumns
) -> Generator[list[dict[str, str]]]:
    """Yield the rows of ``predictions/``, then those of the other photos, predicted on the cluster.

    Raises:
        ConfigError: If Ray or pyarrow is not installed, no cluster answers, or a node lacks the photos.
        CrackLightningError: If a shard was lost too often, once all others are done.
    """
    require_parquet()
    parts = ParquetParts(folder / PREDICTION_PARTS, columns.names)
    tiles = ParquetParts(folder / TILE_PARTS, TILE_COLUMNS)
    done: set[str] = set()
    for rows in parts.read():
        done.update(row["path"] for row in rows)
        yield rows
    numbers = parts.numbers()
    for number in set(tiles.numbers()).difference(numbers):  # of shards that were not finished
        tiles.path(number).unlink()
    left = [photo for photo in photos if storable(str(photo)) not in done]
    if done:
        log.info("resume: %s of %s pictures are predicted", f"{len(done):,}", f"{len(photos):,}")
    if not left:
        return
    if not config.cluster.gpus:
        work.prepare(photos)
        config = replace(config, engine=work.engine)
    number, by_node = max(numbers, default=-1), Counter[str]()
    threads = config.trainer.threads or available_cores()
    shards = _shards(left, config, image_places(config, photos))
    results = run_shards(
        predict_shard, _sharded(config, threads), shards, reservation=config.cluster.reservation(threads)
    )
    for _, result in results:
        number += 1
        _require_files(result.content.rows, columns, result.node)
        for name, content in result.content.images.items():
            with atomic_write(folder / name) as temporary:
                temporary.write_bytes(content)
        if config.makes_maps:
            tiles.write(number, result.content.tiles)
        parts.write(number, result.content.rows)
        by_node[result.node] += 1
        yield [dict(zip(columns.names, cells, strict=True)) for cells in result.content.rows]
    log.info("cluster: shards by node: %s", ", ".join(f"{node} {n:,}" for node, n in sorted(by_node.items())))


def _sharded(config: PredictConfig, threads: int) -> ShardedModel:
    is_builtin = config.checkpoint == BUILTIN
    checkpoint = b"" if is_builtin else Path(config.checkpoint).read_bytes()
    return ShardedModel(config=config, checkpoint=checkpoint, threads=threads, token=uuid.uuid4().hex)


def _shards(
    photos: Sequence[Path], config: PredictConfig, places: dict[Path, Path]
) -> Iterator[list[ShardPhoto]]:
    """Yield shards of whole batches, so that a tile is predicted in the same batch as on one machine."""
    cluster = config.cluster
    size = cluster.shard_size or (PHOTOS_A_SHARD if config.writes_images else cluster.tiles_a_shard)
    size = -(-size // config.batch_size) * config.batch_size if not config.makes_maps else size
    for start in range(0, len(photos), size):
        yield [ShardPhoto(photo, places.get(photo, Path())) for photo in photos[start : start + size]]


def _require_files(rows: Iterable[Sequence[str]], columns: PredictionColumns, node: str) -> None:
    """Refuse a node without files that this machine has.

    Raises:
        ConfigError: With the first such file.
    """
    path, problem = columns.names.index("path"), columns.names.index("problem")
    for row in rows:
        if row[problem] in (NO_FILE, BROKEN_LINK) and _is_readable_here(Path(row[path])):
            raise ConfigError(
                f"source: the node {node} of the cluster has no file '{row[path]}', which this machine has; "
                "keep the photos on a disk that all nodes mount under the same path."
            )


def _is_readable_here(path: Path) -> bool:
    try:
        decode_image(path)
    except UnreadableImageError:
        return False
    return True


def predict_shard(model: ShardedModel, shard: Sequence[ShardPhoto]) -> ShardPredictions:
    """Predict a shard in a process of a node."""
    work, columns = _loaded(model)
    rows: list[list[str]] = []
    tiles = _Rows([])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [photo.path for photo in shard]
        places = {photo.path: photo.place for photo in shard}
        for batch in work.predict(paths, places=places, folder=folder, tiles=tiles):
            rows += columns.rows(batch)
        images = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
    return ShardPredictions(rows=rows, tiles=tiles.rows, images=images)


@dataclass
class _Rows:
    """A table in memory."""

    rows: list[Sequence[object]]

    def write(self, rows: Iterable[Sequence[object]]) -> None:
        self.rows.extend(rows)


def _loaded(model: ShardedModel) -> tuple[PhotoWork, PredictionColumns]:
    """Return work and columns of a process, built for its first shard."""
    if model.token not in _LOADED:
        _LOADED.clear()
        trainer = model.config.trainer
        plan = plan_hardware(
            accelerator=trainer.accelerator if model.config.cluster.gpus else "cpu",
            precision=trainer.precision,
            threads=model.threads,
            num_workers=0,
        )
        configure_process(plan.threads)
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "model.ckpt"
            path.write_bytes(model.checkpoint)
            classifier = load_trained(path if model.checkpoint else Path(BUILTIN))
        work = PhotoWork(model.config, classifier, plan)
        work.prepare([])  # the engine is selected
        _LOADED[model.token] = work, PredictionColumns.of_model(classifier.hparams)
    return _LOADED[model.token]
