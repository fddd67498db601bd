"""The prediction run of ``predict``: files to a growing table and images, resumed after an interruption."""

from __future__ import annotations

import logging
import shlex
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from crack_lightning.config import write_config
from crack_lightning.data.discovery.left_out import describe_left_out
from crack_lightning.inference.appended_csv import AppendedCsv
from crack_lightning.inference.backend_choice import MANY, are_large, choose
from crack_lightning.inference.explanation_images import AspectExplainer, MapExplainer
from crack_lightning.inference.framed_images import FramedPhotos
from crack_lightning.inference.maps.crack_map import TILE_COLUMNS, CrackMapper, can_map, measured_reach
from crack_lightning.inference.maps.map_images import map_photos
from crack_lightning.inference.prediction_rows import FORMER_COLUMNS, PredictionColumns, PredictionCounts
from crack_lightning.inference.predictor import Predictor, threshold_of
from crack_lightning.model.backends.inference_modules import CellNetwork, inference_network
from crack_lightning.model.explain import LocalExplainer, build_explainer
from crack_lightning.model.weights.checkpoints import load_trained
from crack_lightning.runtime.errors import ConfigError, DataError, Interrupted
from crack_lightning.runtime.files.paths import output_paths
from crack_lightning.runtime.files.run_folder import ensure_folder, lock_folder, log_to
from crack_lightning.runtime.hardware import configure_process, plan_hardware
from crack_lightning.runtime.memory import explain_out_of_memory
from crack_lightning.runtime.processes import raise_on_sigterm

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crack_lightning.config import PredictConfig
    from crack_lightning.data.discovery.left_out import LeftOut
    from crack_lightning.inference.explanation_images import PhotoExplainer
    from crack_lightning.inference.predictor import PicturePredictions
    from crack_lightning.model.backends.inference_model import InferenceParts
    from crack_lightning.runtime.hardware import HardwarePlan

log = logging.getLogger(__name__)
_PREDICTIONS, _TILES = "predictions.csv", "tiles.csv"
_OUTPUTS = (_PREDICTIONS, _TILES, "maps/", "annotated/", "explained/")


def run_prediction(
    config: PredictConfig,
    pictures: list[Path],
    *,
    left_out: Sequence[LeftOut] = (),
    folder: Path | None = None,
) -> Path:
    """Classify files; write ``predictions.csv`` row by row, and the configured images.

    Args:
        config: Checked settings; the folder's own where a run is resumed.
        pictures: The image files of ``config.source``.
        left_out: The other files in its folders.
        folder: The run's folder; a run in it is resumed with the files that have no row yet. A new one by
            default.

    Returns:
        The folder.

    Raises:
        CheckpointError: If the checkpoint cannot be used.
        ConfigError: If an explanation or a map is requested that the network cannot give; if ``abstain`` is
            set and the checkpoint has no OOD detector; if a threshold is set and there are not two classes.
        DataError: If none of the pictures can be read.
    """
    trainer = config.trainer
    plan = plan_hardware(
        accelerator=trainer.accelerator, precision=trainer.precision, threads=trainer.threads, num_workers=0
    )
    configure_process(plan.threads)
    classifier = load_trained(Path(config.checkpoint))
    work = _Work(config, classifier, plan)
    folder = ensure_folder(folder, base=Path(config.outputs), name="predict")
    if config.resume is None and (folder / _PREDICTIONS).exists():
        raise ConfigError(
            f"hydra.run.dir: expected a folder without a prediction, got '{folder}'; go on with it by "
            "resume=<folder>, or give another folder."
        )
    with lock_folder(folder), log_to(folder / "run.log"), _interruptible(folder):
        config.resume = None
        write_config(config, folder / "config.yaml")
        log.info("machine: %s", plan.machine if trainer.precision == "auto" else plan.reason)
        own = folder.resolve()
        photos = [picture for picture in pictures if own not in picture.resolve().parents]
        with explain_out_of_memory(batch_size=config.batch_size, image_size=None, key="batch_size"):
            count = work.predict(photos, folder)
        Console().print(count.table())
        if left_out:
            log.warning("%s", describe_left_out(left_out))
        _log_summary(count, folder, threshold=work.threshold_words)
    return folder


@contextmanager
def _interruptible(folder: Path) -> Iterator[None]:
    """Log how to resume where the block is interrupted; SIGTERM interrupts it too."""
    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            stack.enter_context(raise_on_sigterm())
        try:
            yield
        except (KeyboardInterrupt, Interrupted):
            again = shlex.quote(f"resume={folder}")
            log.info("stopped; to continue: python -m crack_lightning.predict %s", again)
            raise


def _log_summary(count: PredictionCounts, folder: Path, *, threshold: str) -> None:
    """Log unreadable files, then the counts, the threshold and the folder."""
    if count.unread == count.total:
        raise DataError(f"source: none of {count.total:,} files can be read: {count.unread_named}.")
    if count.unread:
        log.warning(
            "not read: %s of %s pictures, named with the reason in %s, column problem: %s",
            f"{count.unread:,}",
            f"{count.total:,}",
            _PREDICTIONS,
            count.unread_named,
        )
    outputs = ", ".join(name for name in _OUTPUTS if (folder / name).exists())
    log.info("%s pictures: %s; %s; in %s: %s", f"{count.total:,}", count.counts, threshold, folder, outputs)


class _Work:
    """A prediction run, checked before anything is written."""

    def __init__(self, config: PredictConfig, classifier: InferenceParts, plan: HardwarePlan) -> None:
        self._config, self._classifier, self._plan = config, classifier, plan
        self._maps = config.makes_maps
        self._explainer = build_explainer(classifier) if config.explain else None
        if self._maps:
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

    def predict(self, photos: list[Path], folder: Path) -> PredictionCounts:
        """Predict the photos that have no row yet; return the counts of all rows."""
        hparams = self._classifier.hparams
        columns = PredictionColumns(
            class_names=tuple(hparams["class_names"]), positive_class=hparams["positive_class"]
        )
        count, done = PredictionCounts(columns=columns), set[str]()
        with ExitStack() as stack:
            table = stack.enter_context(
                AppendedCsv(folder / _PREDICTIONS, columns.names, former=FORMER_COLUMNS)
            )
            for row in table.rows():
                count.add(row)
                done.add(row["path"])
            left = [photo for photo in photos if str(photo) not in done]
            if done:
                log.info("resume: %s of %s pictures are predicted", f"{count.total:,}", f"{len(photos):,}")
            progress = stack.enter_context(Progress(disable=not self._config.progress, transient=True))
            bar = progress.add_task("Predicting", total=len(photos), completed=count.total)
            framed = self._framed(photos, folder)
            for batch in self._stream(photos, left, folder, done, stack) if left else ():
                predictions = batch.abstaining() if self._config.abstain else batch
                framed.write(predictions)
                rows = list(columns.rows(predictions))
                table.write(rows)
                for cells in rows:
                    count.add(dict(zip(columns.names, cells, strict=True)))
                progress.update(bar, advance=len(predictions))
        return count

    def _stream(
        self, photos: list[Path], left: list[Path], folder: Path, done: set[str], stack: ExitStack
    ) -> Iterator[PicturePredictions]:
        """Yield the predictions for the remaining photos, by an engine that suits the number of all."""
        if self._maps:
            where = dict(zip(photos, output_paths(photos, folder / "maps"), strict=True))
            tiles = AppendedCsv(folder / _TILES, TILE_COLUMNS, keep=done.__contains__, former=FORMER_COLUMNS)
            mapper = self._mapper(large=are_large(photos))
            log.info("scale: %s", _scale_words(self._config, self._classifier, mapper))
            return map_photos(left, mapper=mapper, places=where, tiles=stack.enter_context(tiles))
        _, compute = choose(
            self._config,
            inference_network(self._classifier),
            plan=self._plan,
            image_size=int(self._classifier.hparams["image_size"]),
            worth_trying=len(photos) >= MANY,
        )
        predictor = Predictor(self._classifier, compute=compute)
        return predictor.stream(left, batch_size=self._config.batch_size, threshold=self._config.threshold)

    def _mapper(self, *, large: bool) -> CrackMapper:
        network = CellNetwork(self._classifier)
        choice, compute = choose(self._config, network, plan=self._plan, image_size=None, worth_trying=large)
        return CrackMapper(
            self._classifier,
            compute=compute,
            piece_px=choice.backend.piece_px,
            scale=self._config.scale,
            threshold=self._config.threshold,
        )

    def _framed(self, photos: list[Path], folder: Path) -> FramedPhotos:
        explainer: PhotoExplainer | None = None
        positive = self._classifier.hparams["positive_class"]
        if isinstance(self._explainer, LocalExplainer) and can_map(self._classifier):
            explainer = MapExplainer(self._mapper(large=are_large(photos)))
        elif self._explainer is not None:
            size = int(self._classifier.hparams["image_size"])
            explainer = AspectExplainer(self._explainer, image_size=size)
        if explainer is not None:
            log.info("explained: by %s, for %s", explainer.method, positive or "the predicted class")
        return FramedPhotos(
            photos,
            folder,
            positive_class=positive,
            annotate=self._config.annotate,
            explainer=explainer,
        )


def _scale_words(config: PredictConfig, classifier: InferenceParts, mapper: CrackMapper) -> str:
    """Return the scale of the maps and its source, in words."""
    if config.scale is not None:
        why = "as scale= sets it"
    elif classifier.hparams.get("train_scale"):
        why = "that of the training tiles"
    else:
        why = "as the checkpoint stores none of its training tiles; set scale= for another"
    return f"{mapper.scale:.3g} pixels of the network's input per pixel of a photo, {why}"
