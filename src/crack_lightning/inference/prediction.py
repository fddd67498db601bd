"""The run behind ``predict``: files in, a table, a CSV and annotated pictures out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from crack_lightning.config import write_config
from crack_lightning.console import printable
from crack_lightning.csv_files import write_table
from crack_lightning.data.decoding import decode_image
from crack_lightning.data.left_out import describe_left_out
from crack_lightning.errors import ConfigError, DataError
from crack_lightning.hardware import configure_process, plan_hardware
from crack_lightning.inference.computing import MANY, are_large, choose
from crack_lightning.inference.explained import explained_pictures
from crack_lightning.inference.mapped import map_pictures
from crack_lightning.inference.mapping import CrackMapper, map_reach
from crack_lightning.inference.pictures import annotate
from crack_lightning.inference.predictor import Predictor, answering_network
from crack_lightning.inference.strips import PIECE_PX
from crack_lightning.memory import memory_for
from crack_lightning.model.checkpoints import load_trained
from crack_lightning.model.explain import Explainer, LocalExplainer, explainer_of
from crack_lightning.model.networks import CellNetwork
from crack_lightning.paths import places
from crack_lightning.run_folder import logging_to, made_folder, sole_writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from crack_lightning.config import PredictConfig
    from crack_lightning.data.left_out import LeftOut
    from crack_lightning.hardware import HardwarePlan
    from crack_lightning.inference.predictor import Answers
    from crack_lightning.model.trained import AnsweringParts

log = logging.getLogger(__name__)
_SHOWN = 20


def run_prediction(
    config: PredictConfig,
    pictures: list[Path],
    *,
    left_out: Sequence[LeftOut] = (),
    folder: Path | None = None,
) -> Path:
    """Classify files; write ``predictions.csv``, and ``annotated/``, ``explained/``, ``maps/`` where asked.

    Args:
        config: Checked settings.
        pictures: The files that ``config.source`` means.
        left_out: What lies beside them in its folders.
        folder: The run's folder; a new one by default.

    Returns:
        The folder.

    Raises:
        CheckpointError: If the checkpoint cannot be used.
        ConfigError: If the network cannot be explained or give a map, and shall; if it is to abstain from
            foreign pictures, and the checkpoint does not tell them.
        DataError: If not one picture can be read.
    """
    trainer = config.trainer
    plan = plan_hardware(
        accelerator=trainer.accelerator, precision=trainer.precision, threads=trainer.threads, num_workers=0
    )
    configure_process(plan.threads)
    classifier = load_trained(Path(config.checkpoint))
    explainer = explainer_of(classifier) if config.explain else None
    wants_map = config.makes_maps
    if wants_map:
        map_reach(classifier)  # before anything is written: whether this model can
    if config.abstain and classifier.novelty is None:
        raise ConfigError(
            f"abstain: a checkpoint with a limit for foreign pictures is expected, and '{config.checkpoint}' "
            "has none; train it again, or leave abstain out."
        )
    folder = made_folder(folder, base=Path(config.outputs), name="predict")
    with sole_writer(folder), logging_to(folder / "run.log"):
        write_config(config, folder / "config.yaml")
        log.info("machine: %s", plan.machine)
        with memory_for(batch_size=config.batch_size, image_size=None, key="batch_size"):
            into = folder if wants_map else None
            answers = _answers(config, classifier, pictures, plan=plan, map_into=into)
        if all(answers.problems):
            raise DataError(f"source: none of {len(answers)} files can be read: {_named(answers)}.")
        if config.abstain:
            answers = answers.abstaining()
        positive = classifier.hparams["positive_class"]
        write_predictions(answers, folder / "predictions.csv", positive_class=positive)
        if config.annotate or explainer is not None:
            _write_pictures(config, answers, classifier, explainer, folder=folder)
        Console().print(summary(answers, positive_class=positive))
        if left_out:
            log.warning("%s", describe_left_out(left_out))
        if any(answers.problems):
            log.warning("not read: %s", _named(answers))
        log.info("predictions: %s", folder / "predictions.csv")
    return folder


def _answers(
    config: PredictConfig,
    classifier: AnsweringParts,
    pictures: list[Path],
    *,
    plan: HardwarePlan,
    map_into: Path | None,
) -> Answers:
    with Progress(disable=not config.progress, transient=True) as progress:
        told = progress.add_task("Predicting", total=len(pictures))

        def on_batch(done: int) -> None:
            progress.update(told, advance=done)

        if map_into is not None:
            network, large = CellNetwork(classifier), are_large(pictures)
            choice, compute = choose(config, network, plan=plan, image_size=None, worth_trying=large)
            mapper = CrackMapper(
                classifier, compute=compute, piece_px=PIECE_PX[choice.family], scale=config.scale
            )
            log.info("scale: %s", _told_scale(config, classifier, mapper))
            return map_pictures(pictures, map_into, mapper=mapper, on_batch=on_batch)
        _, compute = choose(
            config,
            answering_network(classifier),
            plan=plan,
            image_size=int(classifier.hparams["image_size"]),
            worth_trying=len(pictures) >= MANY,
        )
        predictor = Predictor(classifier, compute=compute)
        return predictor.predict(pictures, batch_size=config.batch_size, on_batch=on_batch)


def _told_scale(config: PredictConfig, classifier: AnsweringParts, mapper: CrackMapper) -> str:
    """Say at what scale photos are mapped, and why."""
    if config.scale is not None:
        why = "as scale= says"
    elif classifier.hparams.get("train_scale"):
        why = "that of the training tiles"
    else:
        why = "as this checkpoint does not know that of its training tiles; set scale= if it is another"
    return f"{mapper.scale:.3g} pixels of the network's input per pixel of a photo, {why}"


def write_predictions(answers: Answers, path: Path, *, positive_class: str | None) -> None:
    """Write ``path,predicted,probability_crack,novelty,foreign,problem``; of more classes all probabilities.

    Where a picture cannot be read, or the model tells no foreign ones, the values are empty.
    """
    names = answers.class_names
    shown = [positive_class] if positive_class is not None and len(names) == 2 else list(names)
    columns = [names.index(name) for name in shown]
    rows = []
    for name, label, row, novelty, problem in zip(
        answers.names, answers.labels, answers.probabilities, answers.novelty, answers.problems, strict=True
    ):
        values = [""] * len(columns) if problem else [str(row[column]) for column in columns]
        known = ["", ""] if np.isnan(novelty) else [str(novelty), "yes" if novelty > 1 else "no"]
        rows.append([name, label, *values, *known, problem])
    of_classes = [f"probability_{name}" for name in shown]
    write_table(path, ["path", "predicted", *of_classes, "novelty", "foreign", "problem"], rows)


def _write_pictures(
    config: PredictConfig,
    answers: Answers,
    classifier: AnsweringParts,
    explainer: Explainer | LocalExplainer | None,
    *,
    folder: Path,
) -> None:
    """Write what was asked for into ``annotated/`` and ``explained/``."""
    readable = [row for row, problem in enumerate(answers.problems) if not problem]
    paths = [Path(answers.names[row]) for row in readable]
    positive = classifier.hparams["positive_class"]
    if config.annotate:
        write_framed(
            answers, readable, map(decode_image, paths), folder / "annotated", positive_class=positive
        )
    if explainer is not None:
        log.info("explained: by %s, for %s", explainer.method, positive or "the class that is called")
        likeliest = np.argmax(answers.probabilities, axis=1)
        tinted = explained_pictures(
            explainer,
            paths,
            [answers.class_names.index(positive) if positive else int(likeliest[row]) for row in readable],
            image_size=int(classifier.hparams["image_size"]),
            batch_size=config.batch_size,
        )
        write_framed(answers, readable, tinted, folder / "explained", positive_class=positive)


def write_framed(
    answers: Answers,
    rows: Sequence[int],
    pictures: Iterable[NDArray[np.uint8]],
    folder: Path,
    *,
    positive_class: str | None,
) -> None:
    """Write pictures of some rows with what is said of them."""
    shown = places([Path(answers.names[row]) for row in rows], folder)
    for row, place, pixels in zip(rows, shown, pictures, strict=True):
        annotate(
            pixels,
            place.with_name(f"{place.name}.{folder.name}.jpg"),
            text=_band(answers, row),
            positive=answers.labels[row] == positive_class,
        )


def _band(answers: Answers, row: int) -> str:
    """Say what is written on a picture: its class, its probability, whether it is foreign."""
    said = ["foreign"] if answers.foreign[row] else []
    if label := answers.labels[row]:
        probability = answers.probabilities[row, answers.class_names.index(label)]
        said.insert(0, f"{label} {probability:.1%}")
    return ", ".join(said)


def summary(answers: Answers, *, positive_class: str | None) -> Table:
    """Build a console table: the likeliest of the positive class first, and a count of each class."""
    column = answers.class_names.index(positive_class) if positive_class is not None else 0
    name = answers.class_names[column]
    probability = np.where(np.isnan(answers.probabilities[:, column]), -1, answers.probabilities[:, column])
    order = np.argsort(-probability, kind="stable")
    counts = ", ".join(f"{answers.labels.count(label):,} {label}" for label in answers.class_names)
    others = {"foreign": int(answers.foreign.sum()), "not read": sum(map(bool, answers.problems))}
    title = ", ".join([counts, *(f"{number:,} {what}" for what, number in others.items() if number)])
    table = Table(title=title, title_justify="left")
    for heading in ("picture", "predicted", f"probability of {name}"):
        table.add_column(heading, overflow="fold", justify="right" if heading.startswith("prob") else "left")
    table.add_column("foreign")
    for row in order[:_SHOWN]:
        value = "" if answers.problems[row] else f"{answers.probabilities[row, column]:.4f}"
        label = answers.labels[row] or ("not read" if answers.problems[row] else "no answer")
        far = f"yes, {answers.novelty[row]:.3g} times the limit" if answers.foreign[row] else ""
        table.add_row(Text(printable(answers.names[row])), label, value, far)
    if len(order) > _SHOWN:
        table.add_row(f"… and {len(order) - _SHOWN:,} more in predictions.csv", "", "", "")
    return table


def _named(answers: Answers) -> str:
    bad = [
        f"{name} ({problem})"
        for name, problem in zip(answers.names, answers.problems, strict=True)
        if problem
    ]
    return "; ".join(bad[:5]) + (f"; and {len(bad) - 5} more" if len(bad) > 5 else "")
