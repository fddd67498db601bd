"""Sharded prediction of test tiles on a Ray cluster: the same figures as on one machine."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from crack_lightning.data.io.decoding import UnreadableImageError
from crack_lightning.data.scan.progress import progress_bar
from crack_lightning.evaluation.predictions import Predictions
from crack_lightning.inference.predictor import Predictor
from crack_lightning.inference.tables.prediction_parts import storable
from crack_lightning.model.backends.engines.eager import eager
from crack_lightning.model.backends.inference_modules import inference_network
from crack_lightning.model.backends.select import network_digest, prepare_backend
from crack_lightning.runtime.cache import cache_folder
from crack_lightning.runtime.cluster.shard_cache import (
    compute_shards,
    drop_shards,
    read_columns,
    write_columns,
)
from crack_lightning.runtime.hardware import configure_process
from crack_lightning.training.cluster_features import unreadable_on_node

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from crack_lightning.data.datamodule import CrackDataModule
    from crack_lightning.model.classifier import CrackClassifier
    from crack_lightning.runtime.cluster.ray_tasks import Reservation

_BUILT: dict[str, Predictor] = {}
"""The predictor of the last evaluation of this process, by digest and engine."""


@dataclass(frozen=True, kw_only=True)
class EvaluationWork:
    """What the tasks of an evaluation share.

    Attributes:
        datamodule: The tiles.
        classifier: The model.
        digest: Digest of its network, temperature and OOD detector.
        engine: The engine selected for all; ``auto`` for PyTorch without a benchmark.
        threads: Compute threads of a task.
    """

    datamodule: CrackDataModule
    classifier: CrackClassifier
    digest: str
    engine: str
    threads: int


def predictions_on_cluster(
    classifier: CrackClassifier,
    datamodule: CrackDataModule,
    *,
    engine: str,
    threads: int,
    shard_size: int,
    reservation: Reservation,
    folder: Path,
    show_progress: bool,
) -> Predictions:
    """Return the calibrated predictions for every test tile, and write them as ``predictions.parquet``.

    Args:
        classifier: The model.
        datamodule: The tiles.
        engine: Engine of every task; ``auto`` for PyTorch without a benchmark.
        threads: Compute threads of a task.
        shard_size: Tiles that a task computes, rounded up to whole batches.
        reservation: What each task reserves.
        folder: The evaluation's folder.
        show_progress: Whether to show a bar.

    Raises:
        ConfigError: If Ray or pyarrow is not installed, or no cluster answers.
        DataError: If a node cannot read a tile.
    """
    rows, table = datamodule.table.rows("test"), datamodule.table
    size = -(-shard_size // datamodule.batch_size) * datamodule.batch_size
    shards = [rows[start : start + size] for start in range(0, len(rows), size)]
    work = EvaluationWork(
        datamodule=datamodule,
        classifier=classifier,
        digest=_digest(classifier),
        engine=engine,
        threads=threads,
    )
    shared = {
        "model": work.digest,
        "engine": engine,
        "threads": threads,
        "batch_size": datamodule.batch_size,
        "torch": torch.__version__,
    }
    tiles = [sha256("\n".join(table.sha256[own].tolist()).encode()).hexdigest() for own in shards]
    bar = iter(progress_bar(range(len(shards)), "Testing" if show_progress else None, total=len(shards)))
    paths = compute_shards(
        classify_shard,
        work,
        shards,
        [shared | {"tiles": digest} for digest in tiles],
        cache=cache_folder(),
        reservation=reservation,
        on_shard=lambda: next(bar),
    )
    parts = [read_columns(path) for path in paths]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    names = table.class_names
    probability = {f"probability_{name}": columns["probability"][:, k] for k, name in enumerate(names)}
    path, label = np.array([storable(name) for name in table.path[rows]]), np.array(names)[table.label[rows]]
    write_columns(
        folder / "predictions.parquet",
        {"path": path, "label": label, **probability, "ood_score": columns["ood_score"]},
    )
    drop_shards(paths)
    has_scores = classifier.ood_detector is not None
    return Predictions(
        index=rows,
        label=table.label[rows],
        probability=columns["probability"],
        ood_score=columns["ood_score"] if has_scores else None,
    )


def classify_shard(work: EvaluationWork, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Classify the tiles of a shard in a process of a node.

    Raises:
        DataError: If the node cannot read a tile.
    """
    predictor, size = _predictor(work), work.datamodule.batch_size
    parts: list[Sequence[NDArray[np.float32]]] = []
    try:
        for start in range(0, len(rows), size):
            batch = work.datamodule.dataset.read(rows[start : start + size].tolist(), threads=work.threads)
            parts.append(predictor.classify(batch["image"]))
    except UnreadableImageError as error:
        raise unreadable_on_node(error) from None
    probability, ood_score = (np.concatenate(column) for column in zip(*parts, strict=True))
    return {"probability": probability, "ood_score": ood_score}


def _predictor(work: EvaluationWork) -> Predictor:
    """Return the predictor of this process, built for its first shard."""
    key = f"{work.digest} {work.engine} {work.threads}"
    if key not in _BUILT:
        _BUILT.clear()
        configure_process(work.threads)
        network = inference_network(work.classifier)
        if work.engine == "auto":
            compute = eager(network)
        else:
            _, compute = prepare_backend(
                network,
                wanted=work.engine,
                image_size=work.datamodule.dataset.image_size,
                threads=work.threads,
                cache=cache_folder(),
                key="engine",
            )
        _BUILT[key] = Predictor(work.classifier, compute=compute)
    return _BUILT[key]


def _digest(classifier: CrackClassifier) -> str:
    detector = classifier.ood_detector
    values = pickle.dumps(
        (classifier.hparams["temperature"], None if detector is None else detector.values())
    )
    return sha256(network_digest(inference_network(classifier)).encode() + values).hexdigest()
