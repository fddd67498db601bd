"""The linear probe: a head fitted on the features of a frozen backbone."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from crack_lightning.data.io.loading import map_in_order
from crack_lightning.data.scan.progress import progress_bar
from crack_lightning.evaluation.metrics.scoring_rules import log_loss
from crack_lightning.evaluation.predictions import Predictions
from crack_lightning.model.backends.engines.eager import dtype_of, eager
from crack_lightning.model.backends.inference_modules import FeatureNetwork, linear_head
from crack_lightning.model.backends.select import BackendChoice, choose_backend, network_digest
from crack_lightning.model.features import cached_features
from crack_lightning.model.logistic import fit_layer
from crack_lightning.model.ood.detector import MAX_TILES_AT_ONCE, OODDetector, sample
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.training.cached_statistics import CachedStatistics
from crack_lightning.training.cluster_features import FeatureWork, features_by_shards
from crack_lightning.training.distinct_tiles import DistinctTiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from crack_lightning.data.split_tiles import SplitTiles
    from crack_lightning.model.backends.inference_model import InferenceParts
    from crack_lightning.model.backends.registry import Compute
    from crack_lightning.runtime.cluster.ray_tasks import Reservation

L2_TRIED = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001, 0.00003)
"""L2 penalties from which the validation loss selects, in descending order."""

MIN_GPU_BATCH = 256
"""Smallest batch size on a GPU: features need no memory for gradients, and smaller batches leave it idle."""

_NUM_COMPARED = 64


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """How features are computed.

    Attributes:
        engine: The engine, as for :func:`crack_lightning.model.backends.select.prepare_backend`.
        views: Number of augmented views of each training tile, besides the tile itself.
        threads: Compute threads.
        device: ``cpu`` or ``cuda``.
        precision: ``32``, ``bf16`` or ``16``; read on a GPU only, as the engine implies it on the CPU.
        cache: The cache folder.
        show_progress: Whether to show a bar while features are computed.
        cluster: What each task of a Ray cluster reserves; ``None`` to compute here.
        shard_size: Tiles that a task computes, rounded up to whole batches.
    """

    engine: str
    views: int
    threads: int
    device: str
    precision: str
    cache: Path
    show_progress: bool
    cluster: Reservation | None = None
    shard_size: int = 512


class LinearProbe:
    """The features of a run's tiles, and the head on them.

    Args:
        classifier: The model; its backbone is not changed.
        tiles: The tiles, with their splits.
        settings: How features are computed.

    Raises:
        ConfigError: If the network does not end in one linear layer, or the engine is not available.
    """

    def __init__(self, classifier: InferenceParts, tiles: SplitTiles, *, settings: ProbeSettings) -> None:
        self.classifier, self.tiles, self.settings = classifier, tiles, settings
        self.network = FeatureNetwork(classifier)
        self._network_digest = network_digest(self.network)
        self.engine, self._build_compute = self._choose_backend()
        val, test = tiles.split_rows("val"), tiles.split_rows("test")
        rows = np.unique(np.concatenate([tiles.split_rows("train"), val, test]))
        self._distinct = DistinctTiles.of(tiles.table.sha256, rows)
        self._sampled = sample(tiles.split_rows("train"), seed=tiles.seed)
        scored = np.unique(np.concatenate([self._sampled, val, test]))
        self.statistics = CachedStatistics(
            tiles, scored, digest=_digest(tiles.table.sha256[scored]), cache=settings.cache
        )
        self.features = self._cached_features(self._distinct.rows, view=None)
        self.tried: list[dict[str, float]] = []

    def _choose_backend(self) -> tuple[BackendChoice, Callable[[], Compute]]:
        settings = self.settings
        if settings.device != "cpu":
            if settings.engine not in ("auto", "eager"):
                raise ConfigError(
                    f"recipe.engine: '{settings.engine}' computes on the CPU, and this run is on "
                    f"{settings.device}; leave it out, or use trainer=cpu."
                )
            choice = BackendChoice(name="eager", precision=settings.precision, tiles_per_s={})
            return choice, self._build_on_device
        return choose_backend(
            self.network,
            wanted=settings.engine,
            image_size=int(self.classifier.hparams["image_size"]),
            threads=settings.threads,
            cache=settings.cache,
            key="recipe.engine",
        )

    def _build_on_device(self) -> Compute:
        settings = self.settings
        compute = eager(self.network, device=settings.device, dtype=dtype_of(settings.precision))
        linear_head(self.classifier.backbone).cpu()  # the head is fitted there
        return compute

    @cached_property
    def _compute(self) -> Compute:
        return self._build_compute()

    def _cached_features(self, rows: NDArray[np.int64], *, view: int | None) -> NDArray[np.float32]:
        table, augmentation = self.tiles.table, self.tiles.augmentation
        fingerprint: dict[str, object] = {
            "tiles": _digest(table.sha256[rows]),
            "network": self._network_digest,
            "image_size": self.tiles.dataset.image_size,
            "engine": self.engine.name,
            "precision": self.engine.precision,
            "device": self.settings.device,
            "torch": torch.__version__,
        }
        if view is not None:
            fingerprint |= {
                "view": view,
                "seed": self.tiles.seed,
                "augmentation": asdict(augmentation),
                "rows": _digest(rows.astype(np.str_)),
            }
        features = self._compute_features(rows, view=view)
        return cached_features(features, number=len(rows), fingerprint=fingerprint, cache=self.settings.cache)

    def _compute_features(self, rows: NDArray[np.int64], *, view: int | None) -> Iterator[Tensor]:
        title = "Computing features" if view is None else f"Computing features, view {view + 1}"
        size = max(self.tiles.batch_size, 1 if self.settings.device == "cpu" else MIN_GPU_BATCH)
        batches = [rows[start : start + size].tolist() for start in range(0, len(rows), size)]
        shown = title if self.settings.show_progress else None
        if self.settings.cluster is not None:
            work = FeatureWork(
                tiles=self.tiles,
                network=self.network,
                network_digest=self._network_digest,
                engine=self.engine.name,
                threads=self.settings.threads,
                shard_size=self.settings.shard_size,
                view=view,
            )
            yield from features_by_shards(
                work,
                batches,
                statistics=self.statistics,
                cache=self.settings.cache,
                reservation=self.settings.cluster,
                title=shown,
            )
            return

        features_of = self._compute  # built here, before threads need it

        def compute(batch_rows: list[int]) -> Tensor:
            batch = self.tiles.dataset.read(batch_rows, threads=1)
            if view is None:
                self.statistics.add(batch_rows, batch["image"])
                return features_of(batch["image"])
            return features_of(self.tiles.view(batch["image"], batch["index"], epoch=view))

        features = map_in_order(compute, batches)
        yield from progress_bar(features, shown, total=len(batches))

    def _features_of(self, rows: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(np.asarray(self.features[self._distinct.places(rows)]))

    def _ood_inputs(self, rows: NDArray[np.int64]) -> Tensor:
        """Return image statistics, then features, float32 ``(M, NUM_STATISTICS + D)``."""
        return torch.cat([self.statistics.of(rows), self._features_of(rows)], dim=1)

    def fit(self, *, l2: float | None, class_weights: Sequence[float] | None, max_iterations: int) -> None:
        """Fit the classifier's head.

        Args:
            l2: L2 penalty; ``None`` for the one of ``L2_TRIED`` with the least validation loss.
            class_weights: Weight of each class, K of them, or ``None`` for equal ones.
            max_iterations: Largest number of L-BFGS iterations.
        """
        table = self.tiles.table
        train, val = self.tiles.split_rows("train"), self.tiles.split_rows("val")
        val_labels = torch.from_numpy(table.label[val])
        views = [self._cached_features(train, view=view) for view in range(self.settings.views)]
        features = torch.from_numpy(np.concatenate([self._features_of(train).numpy(), *views]))
        labels = torch.from_numpy(table.label[train]).repeat(1 + len(views))
        self.tried = fit_layer(
            linear_head(self.classifier.backbone),
            features,
            labels,
            penalties=L2_TRIED if l2 is None else (l2,),
            class_weights=None if class_weights is None else torch.tensor(class_weights),
            max_iterations=max_iterations,
            validate=lambda: loss_and_accuracy(self._logits(val), val_labels),
        )

    def predictions(self, split: str) -> Predictions:
        """Return the head's predictions for the tiles of a split."""
        rows = self.tiles.split_rows(split)
        detector = self.classifier.ood_detector
        return Predictions(
            index=rows,
            label=self.tiles.table.label[rows],
            probability=self._probabilities(self._logits(rows)),
            ood_score=None
            if detector is None
            else np.concatenate([detector.score(self._ood_inputs(part)).numpy() for part in _parts(rows)]),
        )

    def fit_ood_detector(self) -> OODDetector:
        """Return the OOD detector of the training and validation tiles."""
        detector = OODDetector.from_training(self._ood_inputs(self._sampled))
        val = self.tiles.split_rows("val")
        distances = [detector.distances(self._ood_inputs(part)) for part in _parts(val)]
        return detector.with_limit([torch.cat(column) for column in zip(*distances, strict=True)])

    @torch.inference_mode()
    def _logits(self, rows: NDArray[np.int64]) -> Tensor:
        """Return logits of tiles, float32 ``(N, K)``, part by part."""
        layer = linear_head(self.classifier.backbone)
        return torch.cat([layer(self._features_of(part)) for part in _parts(rows)])

    def _probabilities(self, logits: Tensor) -> NDArray[np.float32]:
        return torch.softmax(logits / float(self.classifier.hparams["temperature"]), dim=1).numpy()

    def facts(self) -> dict[str, Any]:
        """Return the facts of the fit for the report; call after ``fit``."""
        best = min(self.tried, key=lambda row: row["val/loss"])
        return {
            "backend": f"{self.engine.backend.title} on {self.settings.device}",
            "precision": self.engine.precision,
            "max_abs_difference_from_float32": self.largest_difference(),
            "l2": best["l2"],
            "l2_tried": self.tried,
        }

    def largest_difference(self) -> float:
        """Return the largest difference of a probability from eager fp32 over 64 test tiles."""
        if (self.engine.name, self.settings.device) == ("eager", "cpu"):
            return 0.0
        rows = self.tiles.split_rows("test")
        rows = rows[:: max(1, len(rows) // _NUM_COMPARED)][:_NUM_COMPARED]
        images = self.tiles.dataset.__getitems__(rows.tolist())["image"]
        with torch.inference_mode():
            logits = linear_head(self.classifier.backbone)(eager(deepcopy(self.network))(images))
        difference = self._probabilities(logits) - self._probabilities(self._logits(rows))
        return float(np.abs(difference).max())


def _parts(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[start : start + MAX_TILES_AT_ONCE] for start in range(0, len(rows), MAX_TILES_AT_ONCE)]


def loss_and_accuracy(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return the mean cross entropy in nats and the accuracy of logits, float32 ``(N, K)``."""
    loss = log_loss(labels.numpy(), torch.softmax(logits, dim=1).numpy())
    return loss, float((logits.argmax(1) == labels).float().mean())


def _digest(names: NDArray[np.str_]) -> str:
    return sha256("\n".join(names.tolist()).encode("utf-8", "surrogatepass")).hexdigest()
