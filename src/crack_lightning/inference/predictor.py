"""A trained model for pictures that are not in any table."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from crack_lightning.data.loading import UnreadableImageError, decode_image, in_order, resized
from crack_lightning.evaluation.predictions import predicted_labels
from crack_lightning.model.checkpoints import load_trained
from crack_lightning.model.engines import eager
from crack_lightning.model.looks import looks
from crack_lightning.model.networks import AnsweringNetwork, LogitNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from crack_lightning.model.engines import Compute
    from crack_lightning.model.trained import AnsweringParts

    Picture = str | Path | NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a model says about pictures, in their order.

    Attributes:
        names: Paths, or ``array 0``, ``array 1``, …; N of them.
        labels: Class names; empty where a picture cannot be read.
        probabilities: Class probabilities, float32 ``(N, K)``; NaN where a picture cannot be read.
        class_names: Names by column, K of them.
        novelty: How unlike the training tiles each is, as a share of the limit: beyond 1 the picture is
            foreign; float32 ``(N,)``, NaN where a picture cannot be read or the model has no limit.
        problems: Why a picture cannot be read; empty where it can.
    """

    names: list[str]
    labels: list[str]
    probabilities: NDArray[np.float32]
    class_names: tuple[str, ...]
    novelty: NDArray[np.float32]
    problems: list[str]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def foreign(self) -> NDArray[np.bool_]:
        """Which pictures are too unlike the training tiles for an answer to mean much, bool ``(N,)``."""
        return self.novelty > 1

    def abstaining(self) -> Answers:
        """Return the same without a label where the picture is foreign."""
        kept = ["" if far else label for label, far in zip(self.labels, self.foreign, strict=True)]
        return replace(self, labels=kept)


def answering_network(classifier: AnsweringParts) -> LogitNetwork:
    """Return the network that a predictor asks: logits, with features behind them where those are judged."""
    judged = classifier.novelty is not None and classifier.novelty.directions.shape[1] > 0
    return AnsweringNetwork(classifier) if judged else LogitNetwork(classifier)


class Predictor:
    """A trained classifier with everything that its checkpoint knows.

    Args:
        classifier: The model, in evaluation mode.
        compute: What computes its :func:`answering_network`; eager PyTorch in 32 bits on the CPU by default.
    """

    def __init__(self, classifier: AnsweringParts, *, compute: Compute | None = None) -> None:
        self._compute = compute or eager(answering_network(classifier))
        self._novelty = classifier.novelty
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
            CheckpointError: If the file is missing, damaged, or no checkpoint of ours.
        """
        classifier = load_trained(Path(path))
        return cls(classifier, compute=eager(answering_network(classifier), device=device))

    def predict(
        self,
        pictures: Sequence[Picture],
        *,
        batch_size: int = 32,
        on_batch: Callable[[int], object] | None = None,
    ) -> Answers:
        """Classify pictures of any size; each is squashed to the model's square.

        Args:
            pictures: Paths, or RGB arrays uint8 ``(H, W, 3)``.
            batch_size: Pictures at once.
            on_batch: Called after each batch with the number of its pictures.

        Returns:
            A label, probabilities and novelty a picture; what cannot be read is named in ``problems``.

        Raises:
            TypeError: If one picture is given instead of several, or an array is not uint8 ``(H, W, 3)``.
        """
        if isinstance(pictures, str | os.PathLike):
            raise TypeError(f"Expected several pictures but got {pictures!r}; write [{pictures!r}].")
        batches = []
        for batch in self.stream(pictures, batch_size=batch_size):
            batches.append(batch)
            if on_batch is not None:
                on_batch(len(batch))
        no_rows = np.empty((0, len(self.class_names)), dtype=np.float32)
        return Answers(
            names=[name for batch in batches for name in batch.names],
            labels=[label for batch in batches for label in batch.labels],
            probabilities=np.concatenate([no_rows, *(batch.probabilities for batch in batches)]),
            class_names=self.class_names,
            novelty=np.concatenate([no_rows[:, 0], *(batch.novelty for batch in batches)]),
            problems=[problem for batch in batches for problem in batch.problems],
        )

    def stream(self, pictures: Sequence[Picture], *, batch_size: int = 32) -> Iterator[Answers]:
        """Yield the answers batch by batch, reading and computing ahead."""
        return in_order(
            lambda start: self._answer(*self._read(pictures[start : start + batch_size], start)),
            range(0, len(pictures), batch_size),
        )

    def _read(self, pictures: Sequence[Picture], start: int) -> tuple[list[str], torch.Tensor, list[str]]:
        names = [
            f"array {start + row}" if isinstance(picture, np.ndarray) else str(picture)
            for row, picture in enumerate(pictures)
        ]
        images = torch.zeros((len(pictures), 3, self.image_size, self.image_size), dtype=torch.uint8)
        problems = [""] * len(pictures)
        for row, picture in enumerate(pictures):
            try:
                images[row] = resized(_pixels(picture), size=self.image_size)
            except UnreadableImageError as error:
                problems[row] = error.reason
        return names, images, problems

    def _answer(self, names: list[str], images: torch.Tensor, problems: list[str]) -> Answers:
        logits, features = self._compute(images).tensor_split([len(self.class_names)], dim=1)
        probabilities = torch.softmax(logits / self._temperature, dim=1).numpy()
        positive = None if self.positive_class is None else self.class_names.index(self.positive_class)
        called = predicted_labels(probabilities, positive_index=positive, threshold=self.threshold)
        bad = np.array([bool(problem) for problem in problems])
        novelty = np.full(len(names), np.nan, np.float32)
        if self._novelty is not None:
            novelty = self._novelty.of(torch.cat([looks(images), features], dim=1)).numpy()
        probabilities[bad], novelty[bad] = np.nan, np.nan
        labels = ["" if problem else self.class_names[k] for k, problem in zip(called, problems, strict=True)]
        return Answers(
            names=names,
            labels=labels,
            probabilities=probabilities,
            class_names=self.class_names,
            novelty=novelty,
            problems=problems,
        )


def _pixels(picture: Picture) -> NDArray[np.uint8]:
    if not isinstance(picture, np.ndarray):
        return decode_image(Path(picture))
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise TypeError(f"Expected an array uint8 (H, W, 3) but got {picture.dtype} {picture.shape}.")
    return np.array(picture)
