"""Images that ``annotate`` and ``explain`` write: the photo, or its explanation, below a caption."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.data.io.decoding import decode_image
from crack_lightning.inference.image_files import annotate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crack_lightning.inference.explanation_images import PhotoExplainer
    from crack_lightning.inference.predictor import PicturePredictions


class FramedPhotos:
    """Writes ``annotated/`` and ``explained/`` for batches of predictions.

    Args:
        places: Unique relative path of each photo, for its images.
        folder: The run's folder.
        positive_class: The class that means "crack", or ``None``.
        annotate: Whether photos are written with their prediction.
        explainer: Makes explanation images; ``None`` for none.
    """

    def __init__(
        self,
        places: Mapping[Path, Path],
        folder: Path,
        *,
        positive_class: str | None,
        annotate: bool,
        explainer: PhotoExplainer | None,
    ) -> None:
        self._places, self._folder = places, folder
        self._positive_class, self._explainer = positive_class, explainer
        kinds = {"annotated": annotate, "explained": explainer is not None}
        self._kinds = [name for name, is_enabled in kinds.items() if is_enabled]

    def write(self, predictions: PicturePredictions) -> None:
        """Write the images of each photo that can be read."""
        for row, name in enumerate(predictions.names):
            if predictions.problems[row] or not self._kinds:
                continue
            photo = Path(name)
            pixels = decode_image(photo)
            for kind in self._kinds:
                path = self._folder / kind / self._places[photo]
                explainer = self._explainer if kind == "explained" else None
                annotate(
                    pixels
                    if explainer is None
                    else explainer(pixels, self._explained_class(predictions, row)),
                    path.with_name(f"{path.name}.{kind}.jpg"),
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
