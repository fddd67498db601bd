"""Predictions of photos by a checkpoint as configured, here or on a node of a cluster."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.inference.backend_choice import MANY, are_large, choose, is_untried
from crack_lightning.inference.explanation_images import AspectExplainer, MapExplainer
from crack_lightning.inference.framed_images import FramedPhotos
from crack_lightning.inference.maps.crack_map import CrackMapper, can_map, measured_reach
from crack_lightning.inference.maps.map_images import map_photos
from crack_lightning.inference.predictor import Predictor, threshold_of
from crack_lightning.model.backends.inference_modules import CellNetwork, inference_network
from crack_lightning.model.explain import LocalExplainer, build_explainer
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.files.paths import output_paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import nn

    from crack_lightning.config import PredictConfig
    from crack_lightning.inference.explanation_images import PhotoExplainer
    from crack_lightning.inference.maps.map_images import TileRows
    from crack_lightning.inference.predictor import PicturePredictions
    from crack_lightning.model.backends.inference_model import InferenceParts
    from crack_lightning.model.backends.registry import Compute
    from crack_lightning.model.backends.select import BackendChoice
    from crack_lightning.runtime.hardware import HardwarePlan

log = logging.getLogger(__name__)


def image_places(config: PredictConfig, photos: Sequence[Path]) -> dict[Path, Path]:
    """Return a unique relative path for the images of each photo; empty where no images are written."""
    if not config.writes_images:
        return {}
    return dict(zip(photos, output_paths(photos, Path()), strict=True))


class PhotoWork:
    """What ``predict`` computes for photos, checked before anything is written.

    Args:
        config: Checked settings.
        classifier: The model, in evaluation mode.
        plan: The hardware plan.

    Attributes:
        engine: Selected engine, once prepared; ``auto`` for PyTorch without a benchmark.

    Raises:
        ConfigError: If an explanation or a map is requested that the network cannot give; if ``abstain`` is
            set and the checkpoint has no OOD detector; if a threshold is set and there are not two classes.
    """

    def __init__(self, config: PredictConfig, classifier: InferenceParts, plan: HardwarePlan) -> None:
        self._config, self._classifier, self._plan = config, classifier, plan
        self._explainer = build_explainer(classifier) if config.explain else None
        if config.makes_maps:
            measured_reach(classifier)
        if config.abstain and classifier.ood_detector is None:
            raise ConfigError(
                "abstain: expected a checkpoint with an out-of-distribution detector, and "
                f"'{config.checkpoint}' has none; train it again, or leave abstain out."
            )
        self._threshold = threshold_of(classifier.hparams, config.threshold)

    @property
    def threshold_words(self) -> str:
        """The decision threshold and its source."""
        if self._threshold is None:
            return "the class of highest probability is predicted"
        source = "that of the checkpoint" if self._config.threshold is None else "set by threshold="
        name = self._classifier.hparams["positive_class"]
        return f"{name} is predicted from a probability of {self._threshold:.3g} ({source})"

    def prepare(self, photos: Sequence[Path]) -> None:
        """Select the engine, by a benchmark for many or large photos; build the predictor or mapper.

        Args:
            photos: All files of the run.
        """
        config = self._config
        is_large = bool(config.makes_maps or self._explainer) and are_large(photos)
        self._mapper: CrackMapper | None = None
        if config.makes_maps:
            choice, self._mapper = self._build_mapper(large=is_large)
            log.info("scale: %s", _scale_words(config, self._classifier, self._mapper))
        else:
            network, size = inference_network(self._classifier), int(self._classifier.hparams["image_size"])
            choice, compute = self._choose(network, size, worth_trying=len(photos) >= MANY)
            self._predictor = Predictor(self._classifier, compute=compute)
        worth_trying = is_large if config.makes_maps else len(photos) >= MANY
        untried = is_untried(config, self._plan, worth_trying=worth_trying)
        self.engine = config.engine if untried else choice.name
        self._tinted = self._build_explainer(large=is_large)

    def predict(
        self,
        photos: Sequence[Path],
        *,
        places: Mapping[Path, Path],
        folder: Path,
        tiles: TileRows | None,
    ) -> Iterator[PicturePredictions]:
        """Yield predictions for photos, after writing their images below a folder.

        Args:
            photos: Files.
            places: Unique relative path of each, for its images.
            folder: The folder of ``maps``, ``annotated`` and ``explained``.
            tiles: The table of mapped tiles; ``None`` without maps.
        """
        framed = FramedPhotos(
            places,
            folder,
            positive_class=self._classifier.hparams["positive_class"],
            annotate=self._config.annotate,
            explainer=self._tinted,
        )
        for batch in self._batches(photos, places, folder, tiles):
            predictions = batch.abstaining() if self._config.abstain else batch
            framed.write(predictions)
            yield predictions

    def _batches(
        self, photos: Sequence[Path], places: Mapping[Path, Path], folder: Path, tiles: TileRows | None
    ) -> Iterator[PicturePredictions]:
        if self._mapper is not None:
            assert tiles is not None, "maps have tiles"
            maps = {photo: folder / "maps" / places[photo] for photo in photos}
            return map_photos(photos, mapper=self._mapper, places=maps, tiles=tiles)
        return self._predictor.stream(
            photos, batch_size=self._config.batch_size, threshold=self._config.threshold
        )

    def _choose(
        self, network: nn.Module, image_size: int | None, *, worth_trying: bool
    ) -> tuple[BackendChoice, Compute]:
        config, plan = self._config, self._plan
        return choose(config, network, plan=plan, image_size=image_size, worth_trying=worth_trying)

    def _build_mapper(self, *, large: bool) -> tuple[BackendChoice, CrackMapper]:
        choice, compute = self._choose(CellNetwork(self._classifier), None, worth_trying=large)
        mapper = CrackMapper(
            self._classifier,
            compute=compute,
            piece_px=choice.backend.piece_px,
            scale=self._config.scale,
            threshold=self._config.threshold,
        )
        return choice, mapper

    def _build_explainer(self, *, large: bool) -> PhotoExplainer | None:
        if self._explainer is None:
            return None
        explainer: PhotoExplainer
        if isinstance(self._explainer, LocalExplainer) and can_map(self._classifier):
            explainer = MapExplainer(self._mapper or self._build_mapper(large=large)[1])
        else:
            size = int(self._classifier.hparams["image_size"])
            explainer = AspectExplainer(self._explainer, image_size=size)
        positive = self._classifier.hparams["positive_class"]
        log.info("explained: by %s, for %s", explainer.method, positive or "the predicted class")
        return explainer


def _scale_words(config: PredictConfig, classifier: InferenceParts, mapper: CrackMapper) -> str:
    """Return the scale of the maps and its source, in words."""
    if config.scale is not None:
        why = "as scale= sets it"
    elif classifier.hparams.get("train_scale"):
        why = "that of the training tiles"
    else:
        why = "as the checkpoint stores none of its training tiles; set scale= for another"
    return f"{mapper.scale:.3g} pixels of the network's input per pixel of a photo, {why}"
