"""Predictions of a trained model for pictures from files or memory."""

from __future__ import annotations

import operator
import sys
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from crack_lightning.data.io.decoding import UnreadableImageError
from crack_lightning.data.io.loading import map_in_order, resize
from crack_lightning.evaluation.predictions import predicted_labels
from crack_lightning.inference.inputs import named_pictures
from crack_lightning.model.backends.engines.eager import eager
from crack_lightning.model.backends.inference_modules import inference_network
from crack_lightning.model.ood.image_statistics import image_statistics
from crack_lightning.model.weights.checkpoints import load_trained
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from crack_lightning.inference.inputs import NamedPicture, Picture
    from crack_lightning.model.backends.inference_model import InferenceParts
    from crack_lightning.model.backends.registry import Compute


@dataclass(frozen=True, kw_only=True)
class PicturePredictions:
    """The predictions of a model for pictures, in their order.

    Attributes:
        names: Paths, or ``image 0``, ``array 1``, … by position; N of them.
        labels: Class names; empty where a picture cannot be read.
        probabilities: Class probabilities, float32 ``(N, K)``; NaN where a picture cannot be read.
        class_names: Names by column, K of them.
        ood_score: Distance to the training tiles divided by the limit, out-of-distribution above 1;
            float32 ``(N,)``, NaN where a picture cannot be read or the model has no OOD detector.
        problems: Why a picture cannot be read; empty where it can.
        threshold: Least probability at which the positive class is predicted; ``None`` for the class of the
            highest probability.
    """

    names: list[str]
    labels: list[str]
    probabilities: NDArray[np.float32]
    class_names: tuple[str, ...]
    ood_score: NDArray[np.float32]
    problems: list[str]
    threshold: float | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def is_ood(self) -> NDArray[np.bool_]:
        """Whether each picture is out-of-distribution (OOD), unlike the training tiles; bool ``(N,)``."""
        return self.ood_score > 1

    def abstaining(self) -> PicturePredictions:
        """Return a copy with an empty label where the picture is out-of-distribution."""
        labels = ["" if is_ood else label for label, is_ood in zip(self.labels, self.is_ood, strict=True)]
        return replace(self, labels=labels)


class Predictor:
    """A trained classifier with the classes, threshold and input size of its checkpoint.

    Args:
        classifier: The model, in evaluation mode.
        compute: The compute function of its :func:`inference_network`; eager PyTorch in 32 bits on the CPU by
            default.
    """

    def __init__(self, classifier: InferenceParts, *, compute: Compute | None = None) -> None:
        self._compute = compute or eager(inference_network(classifier))
        self._ood_detector = classifier.ood_detector
        self._hparams: dict[str, Any] = dict(classifier.hparams)
        self._temperature = float(classifier.hparams["temperature"])
        self.class_names: tuple[str, ...] = tuple(classifier.hparams["class_names"])
        self.positive_class: str | None = classifier.hparams["positive_class"]
        self.image_size = int(classifier.hparams["image_size"])
        self.threshold = float(classifier.hparams["threshold"])

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu") -> Predictor:
        """Read a checkpoint.

        Args:
            path: A run's ``checkpoints/best.ckpt``, or ``builtin``.
            device: Where to compute.

        Raises:
            CheckpointError: If the file is missing, damaged, or no checkpoint of this package.
        """
        classifier = load_trained(Path(path))
        return cls(classifier, compute=eager(inference_network(classifier), device=device))

    def predict(
        self,
        pictures: Picture | Iterable[Picture],
        *,
        batch_size: int = 32,
        threshold: float | None = None,
        on_batch: Callable[[int], object] | None = None,
    ) -> PicturePredictions:
        """Classify pictures of any size; each is resized to the model's square.

        It is thread-safe and works in a forked process. Up to rounding, a prediction depends neither on the
        other pictures nor on ``batch_size``.

        Args:
            pictures: One or an iterable; see :func:`~crack_lightning.inference.inputs.named_pictures`.
            batch_size: Pictures at once.
            threshold: In ``(0, 1)``, for models of two classes; the checkpoint's by default.
            on_batch: Called after each batch with the number of its pictures.

        Returns:
            A label, probabilities and an OOD score for each picture; ``problems`` where it cannot be read.

        Raises:
            TypeError: If an item is no picture, or ``batch_size`` no whole number.
            ValueError: If ``batch_size``, ``threshold`` or an array's values are out of range.
        """
        batches = []
        for batch in self.stream(pictures, batch_size=batch_size, threshold=threshold):
            batches.append(batch)
            if on_batch is not None:
                on_batch(len(batch))
        no_rows = np.empty((0, len(self.class_names)), dtype=np.float32)
        return PicturePredictions(
            names=[name for batch in batches for name in batch.names],
            labels=[label for batch in batches for label in batch.labels],
            probabilities=np.concatenate([no_rows, *(batch.probabilities for batch in batches)]),
            class_names=self.class_names,
            ood_score=np.concatenate([no_rows[:, 0], *(batch.ood_score for batch in batches)]),
            problems=[problem for batch in batches for problem in batch.problems],
            threshold=threshold_of(self._hparams, threshold),
        )

    def stream(
        self,
        pictures: Picture | Iterable[Picture],
        *,
        batch_size: int = 32,
        threshold: float | None = None,
    ) -> Iterator[PicturePredictions]:
        """Yield the predictions batch by batch, computed ahead; arguments as for :meth:`predict`."""
        size = _checked_batch_size(batch_size)
        squares = map_in_order(self._square, named_pictures(pictures))
        batches = iter(lambda: list(islice(squares, size)), [])
        predict = partial(self._predict_batch, threshold=threshold_of(self._hparams, threshold))
        return map_in_order(predict, batches)

    def _square(self, picture: NamedPicture) -> tuple[str, torch.Tensor | None, str]:
        """Return a name, pixels, uint8 ``(3, S, S)``, or ``None``, and why it cannot be read."""
        try:
            return picture.name, resize(picture.pixels(), size=self.image_size), ""
        except UnreadableImageError as error:
            return picture.name, None, error.reason

    def _predict_batch(
        self, squares: list[tuple[str, torch.Tensor | None, str]], *, threshold: float | None
    ) -> PicturePredictions:
        readable = [square for _, square, _ in squares if square is not None]
        rows = np.array([square is not None for _, square, _ in squares])
        probabilities = np.full((len(squares), len(self.class_names)), np.nan, np.float32)
        ood_score = np.full(len(squares), np.nan, np.float32)
        labels = np.full(len(squares), "", object)
        if readable:
            probabilities[rows], ood_score[rows] = self.classify(torch.stack(readable))
            positive = None if self.positive_class is None else self.class_names.index(self.positive_class)
            predicted = predicted_labels(
                probabilities[rows], positive_index=positive, threshold=threshold or self.threshold
            )
            labels[rows] = np.array(self.class_names, object)[predicted]
        return PicturePredictions(
            names=[name for name, _, _ in squares],
            labels=labels.tolist(),
            probabilities=probabilities,
            class_names=self.class_names,
            ood_score=ood_score,
            problems=[problem for _, _, problem in squares],
            threshold=threshold,
        )

    def classify(self, images: torch.Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return probabilities ``(N, K)`` and OOD scores ``(N,)`` of images, uint8 ``(N, 3, S, S)``.

        OOD scores are NaN where the model has no OOD detector.
        """
        logits, features = self._compute(images).tensor_split([len(self.class_names)], dim=1)
        probabilities = torch.softmax(logits / self._temperature, dim=1).numpy()
        ood_score = np.full(len(images), np.nan, np.float32)
        if self._ood_detector is not None:
            ood_score = self._ood_detector.score(
                torch.cat([image_statistics(images), features], dim=1)
            ).numpy()
        return probabilities, ood_score


def threshold_of(hparams: Mapping[str, Any], threshold: float | None) -> float | None:
    """Return the decision threshold of the positive class; ``None`` without two classes.

    Args:
        hparams: The classifier's hyper-parameters.
        threshold: In ``(0, 1)``; ``None`` takes the checkpoint's.

    Raises:
        ConfigError: If out of range, or set without two classes; it is also a ``ValueError``.
    """
    names = hparams["class_names"]
    two = len(names) == 2 and hparams["positive_class"] is not None
    if threshold is None:
        return float(hparams["threshold"]) if two else None
    if not two:
        raise ConfigError(
            f"threshold: expected a model of two classes but got {', '.join(names)}; leave threshold out."
        )
    if isinstance(threshold, bool | str) or not 0 < threshold < 1:
        raise ConfigError(f"threshold: expected a number between 0 and 1 but got {threshold!r}.")
    return float(threshold)


def _checked_batch_size(batch_size: int) -> int:
    try:
        size = None if isinstance(batch_size, bool) else operator.index(batch_size)
    except TypeError:
        size = None
    if size is None:
        raise TypeError(f"batch_size: expected a whole number but got {batch_size!r}.")
    if size < 1:
        raise ValueError(f"batch_size: expected at least 1 but got {batch_size!r}.")
    return min(size, sys.maxsize)
