"""Images that ``annotate`` and ``explain`` write: the photo, or its explanation, below a caption."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.data.io.decoding import decode_image
from crack_lightning.inference.image_files import annotate
from crack_lightning.runtime.files.paths import output_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crack_lightning.inference.explanation_images import PhotoExplainer
    from crack_lightning.inference.predictor import PicturePredictions


class FramedPhotos:
    """Writes ``annotated/`` and ``explained/`` for batches of predictions.

    Args:
        photos: All files of the run, which determine the path of each output.
        folder: The run's folder.
        positive_class: The class that means "crack", or ``None``.
        annotate: Whether photos are written with their prediction.
        explainer: Makes explanation images; ``None`` for none.
    """

    def __init__(
        self,
        photos: Sequence[Path],
        folder: Path,
        *,
        positive_class: str | None,
        annotate: bool,
        explainer: PhotoExplainer | None,
    ) -> None:
        self._positive_class, self._explainer = positive_class, explainer
        kinds = {"annotated": annotate, "explained": explainer is not None}
        self._paths = {
            name: dict(zip(photos, output_paths(photos, folder / name), strict=True))
            for name, is_enabled in kinds.items()
            if is_enabled
        }

    def write(self, predictions: PicturePredictions) -> None:
        """Write the images of each photo that can be read."""
        for row, name in enumerate(predictions.names):
            if predictions.problems[row] or not self._paths:
                continue
            photo = Path(name)
            pixels = decode_image(photo)
            for kind, paths in self._paths.items():
                explainer = self._explainer if kind == "explained" else None
                annotate(
                    pixels
                    if explainer is None
                    else explainer(pixels, self._explained_class(predictions, row)),
                    paths[photo].with_name(f"{paths[photo].name}.{kind}.jpg"),
                    text=_band(predictions, row),
                    positive=predictions.labels[row] == self._positive_class,
                )

    def _explained_class(self, predictions: PicturePredictions, row: int) -> int:
        if self._positive_class is not None:
            return predictions.class_names.index(self._positive_class)
        return int(np.argmax(predictions.probabilities[row]))


def _band(predictions: PicturePredictions, row: int) -> str:
    """Return the caption of a picture: its class and probability, and whether it is OOD."""
    parts = ["OOD"] if predictions.is_ood[row] else []
    if label := predictions.labels[row]:
        probability = predictions.probabilities[row, predictions.class_names.index(label)]
        parts.insert(0, f"{label} {probability:.1%}")
    return ", ".join(parts)
