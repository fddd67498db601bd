"""The prediction run of ``predict``: files to a growing table and images, resumed after an interruption."""

from __future__ import annotations

import logging
import os
import shlex
import threading
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from crack_lightning.config import write_config
from crack_lightning.data.discovery.left_out import describe_left_out
from crack_lightning.inference.cluster_prediction import rows_on_cluster
from crack_lightning.inference.maps.crack_map import TILE_COLUMNS
from crack_lightning.inference.photo_work import PhotoWork, image_places
from crack_lightning.inference.tables.appended_csv import AppendedCsv
from crack_lightning.inference.tables.prediction_parts import PREDICTION_PARTS, TILE_PARTS
from crack_lightning.inference.tables.prediction_rows import (
    FORMER_COLUMNS,
    PredictionColumns,
    PredictionCounts,
)
from crack_lightning.model.weights.checkpoints import load_trained
from crack_lightning.runtime.errors import ConfigError, DataError, Interrupted
from crack_lightning.runtime.files.run_folder import ensure_folder, lock_folder, log_to
from crack_lightning.runtime.hardware import configure_process, plan_hardware
from crack_lightning.runtime.memory import explain_out_of_memory
from crack_lightning.runtime.processes import raise_on_sigterm

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from crack_lightning.config import PredictConfig
    from crack_lightning.data.discovery.left_out import LeftOut

log = logging.getLogger(__name__)
_PREDICTIONS, _TILES = "predictions.csv", "tiles.csv"
_ROWS_AT_ONCE = 1000
_OUTPUTS = (
    *(_PREDICTIONS, f"{PREDICTION_PARTS}/", _TILES, f"{TILE_PARTS}/"),
    *("maps/", "annotated/", "explained/"),
)


def run_prediction(
    config: PredictConfig,
    pictures: list[Path],
    *,
    left_out: Sequence[LeftOut] = (),
    folder: Path | None = None,
) -> Path:
    """Classify files here or on a cluster; write rows as they are predicted, and the configured images.

    The rows are ``predictions.csv``; those of a cluster are the Parquet files of ``predictions/``.

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
    work = PhotoWork(config, classifier, plan)
    columns = PredictionColumns.of_model(classifier.hparams)
    folder = ensure_folder(folder, base=Path(config.outputs), name="predict")
    if config.resume is None and any((folder / name).exists() for name in (_PREDICTIONS, PREDICTION_PARTS)):
        raise ConfigError(
            f"hydra.run.dir: expected a folder without a prediction, got '{folder}'; go on with it by "
            "resume=<folder>, or give another folder."
        )
    with lock_folder(folder), log_to(folder / "run.log"), _interruptible(folder):
        config.resume = None
        write_config(config, folder / "config.yaml")
        log.info("machine: %s", plan.machine if trainer.precision == "auto" else plan.reason)
        own = f"{folder.resolve()}{os.sep}"
        photos = [picture for picture in pictures if not os.path.realpath(picture).startswith(own)]
        count = PredictionCounts(columns=columns)
        rows_of = rows_on_cluster if config.cluster.is_used else rows_here
        with (
            explain_out_of_memory(batch_size=config.batch_size, image_size=None, key="batch_size"),
            Progress(disable=not config.progress, transient=True) as progress,
            closing(rows_of(work, config, photos, folder, columns)) as batches,
        ):
            bar = progress.add_task("Predicting", total=len(photos))
            for rows in batches:
                for row in rows:
                    count.add(row)
                progress.update(bar, advance=len(rows))
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
            next(name for name in _OUTPUTS if (folder / name).exists()),
            count.unread_named,
        )
    outputs = ", ".join(name for name in _OUTPUTS if (folder / name).exists())
    log.info("%s pictures: %s; %s; in %s: %s", f"{count.total:,}", count.counts, threshold, folder, outputs)


def rows_here(
    work: PhotoWork, config: PredictConfig, photos: list[Path], folder: Path, columns: PredictionColumns
) -> Generator[list[dict[str, str]]]:
    """Yield the rows of ``predictions.csv``, then those of the other photos, predicted on this machine."""
    done: set[str] = set()
    with ExitStack() as stack:
        table = stack.enter_context(AppendedCsv(folder / _PREDICTIONS, columns.names, former=FORMER_COLUMNS))
        existing = table.rows()
        while rows := list(islice(existing, _ROWS_AT_ONCE)):
            done.update(row["path"] for row in rows)
            yield rows
        left = [photo for photo in photos if str(photo) not in done]
        if done:
            log.info("resume: %s of %s pictures are predicted", f"{len(done):,}", f"{len(photos):,}")
        if not left:
            return
        tiles = None
        if config.makes_maps:
            tiles = stack.enter_context(
                AppendedCsv(folder / _TILES, TILE_COLUMNS, keep=done.__contains__, former=FORMER_COLUMNS)
            )
        work.prepare(photos)
        places = image_places(config, photos)
        for batch in work.predict(left, places=places, folder=folder, tiles=tiles):
            cells = list(columns.rows(batch))
            table.write(cells)
            yield [dict(zip(columns.names, row, strict=True)) for row in cells]
