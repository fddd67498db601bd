"""The registry of commands, and the schemas of all but ``train``.

A new command is its entry and its schema here, ``crack_lightning/<name>.py`` with its ``run``,
``conf/<name>.yaml`` and a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from crack_lightning.config.nodes.cluster import ClusterConfig
from crack_lightning.config.nodes.data import DataConfig, data_config
from crack_lightning.config.nodes.split import SplitConfig
from crack_lightning.config.nodes.sweep import SweepConfig
from crack_lightning.config.nodes.train import TrainConfig
from crack_lightning.config.nodes.trainer import TrainerConfig
from crack_lightning.model.backends.registry import ENGINES
from crack_lightning.runtime.settings import check_settings, keys_except, node, setting, unread_problems

MACHINE_KEYS = ("accelerator", "precision", "threads")
_OF_TRAINING = ("sampler", "mix", "train_sources", "test_sources")
_ENGINE = "Backend on a CPU, as `recipe.engine`; `auto` is `eager` "


@dataclass
class EvaluateConfig:
    """``evaluate``: a checkpoint's report on another data set."""

    checkpoint: str = setting(
        MISSING, "Model to evaluate.", values="a run's `best.ckpt`, or `builtin`", text="path"
    )
    outputs: str = setting("outputs", "Folder of all runs.", text="path")
    engine: str = setting("auto", f"{_ENGINE}for fewer than 1,000 tiles.", choices=ENGINES)
    progress: bool = setting(True, "Show progress bars.")
    data: DataConfig = node(
        DataConfig,
        "Data set; tiles that the model was trained or validated on are left out.",
        factory=data_config,
        unread=(*_OF_TRAINING, *keys_except(SplitConfig, prefix="split.")),
    )
    trainer: TrainerConfig = node(
        TrainerConfig, "Device, precision and threads.", unread=keys_except(TrainerConfig, *MACHINE_KEYS)
    )
    cluster: ClusterConfig = node(ClusterConfig, unread=("gpus",))
    sweep: SweepConfig = node(SweepConfig)

    def __post_init__(self) -> None:
        check_settings(self)

    def problems(self) -> list[str]:
        """List every contradiction between the nodes."""
        return [
            *self.data.problems(),
            *self.trainer.problems(),
            *self.cluster.problems(),
            *unread_problems(self, by="evaluate"),
            *_engine_problems(self.engine, self.trainer),
        ]


@dataclass
class AuditConfig:
    """``audit``: unreadable, duplicate, mislabelled and outlying files in a set of tiles."""

    outputs: str = setting("outputs", "Folder of all runs.", text="path")
    progress: bool = setting(True, "Show progress bars.")
    data: DataConfig = node(
        DataConfig,
        "Data set.",
        factory=data_config,
        unread=(
            *_OF_TRAINING,
            *("batch_size", "num_workers", "timeout_s", "on_unreadable", "mm_per_px"),
            *keys_except(SplitConfig, "recover_photos", prefix="split."),
        ),
    )
    trainer: TrainerConfig = node(TrainerConfig, "Threads.", unread=keys_except(TrainerConfig, "threads"))
    sweep: SweepConfig = node(SweepConfig)

    def problems(self) -> list[str]:
        """List every contradiction between the nodes."""
        if self.data.source == "painted":
            return ["data: audit needs existing files, got tiles to paint; audit data.base itself."]
        return [*self.data.problems(), *unread_problems(self, by="audit")]


@dataclass
class PredictConfig:
    """``predict``: a checkpoint's predictions for files."""

    checkpoint: str = setting(
        MISSING,
        "Model; `builtin` is the head that comes with the package.",
        values="a run's `best.ckpt`, or `builtin`",
        text="path",
    )
    source: list[str] = setting(MISSING, "Photos.", values="files, folders or glob patterns", text="path")
    outputs: str = setting("outputs", "Folder of all runs.", text="path")
    resume: str | None = setting(
        None,
        "Folder of an interrupted prediction, to continue with the same settings and the photos that have no "
        "prediction yet.",
        text="path",
    )
    threshold: float | None = setting(
        None,
        "Decision threshold: predict a crack from this probability on; `null` takes the checkpoint's.",
        low=0,
        high=1,
        exclusive=True,
    )
    annotate: bool = setting(False, "Also write each photo with its class and probability on it.")
    explain: bool = setting(
        False, "Also write each photo with a heat map of the model's evidence; needs a backward pass."
    )
    map: bool | None = setting(
        None,
        "Write a crack map of each photo at its own size by tiled inference; needs a local head. A photo's "
        "class is that of its tile with the highest crack probability. `null` is `true` for "
        "`builtin` only.",
    )
    scale: float | None = setting(
        None,
        "Scale of tiled inference, in pixels of the network's input per pixel of the photo; `null` for that "
        "of training.",
        low=1e-6,
        high=16,
    )
    abstain: bool = setting(
        False,
        "Predict no class for out-of-distribution (OOD) photos; a mapped photo has the OOD score of its tile "
        "with the highest crack probability.",
    )
    batch_size: int = setting(32, "Tiles per batch.", low=1)
    engine: str = setting(
        "auto",
        f"{_ENGINE}on a GPU, where `trainer.precision` is set, and for fewer than 1,000 photos or, with "
        "`map`, 10 megapixels.",
        choices=ENGINES,
    )
    progress: bool = setting(True, "Show progress bars.")
    trainer: TrainerConfig = node(
        TrainerConfig, "Device, precision and threads.", unread=keys_except(TrainerConfig, *MACHINE_KEYS)
    )
    cluster: ClusterConfig = node(ClusterConfig)
    sweep: SweepConfig = node(SweepConfig)

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def makes_maps(self) -> bool:
        """Whether crack maps are written: ``map``, or by default for ``builtin`` only."""
        return self.checkpoint == "builtin" if self.map is None else self.map

    @property
    def writes_images(self) -> bool:
        """Whether images of each photo are written: maps, explanations or captions."""
        return self.makes_maps or self.explain or self.annotate

    def problems(self) -> list[str]:
        """List every contradiction between the nodes."""
        problems = [
            *self.trainer.problems(),
            *self.cluster.problems(),
            *unread_problems(self, by="predict"),
            *_engine_problems(self.engine, self.trainer),
        ]
        if self.scale is not None and not self.makes_maps:
            problems.append(
                f"scale: only crack maps read it, got {self.scale} without a map; set map=true, or "
                "leave it out."
            )
        return problems


@dataclass
class ShardsConfig:
    """``shards``: the tiles of a source in tars with an index."""

    outputs: str = setting("outputs", "Folder of all runs.", text="path")
    resume: str | None = setting(
        None, "Folder of interrupted shards, to write the missing ones with the same settings.", text="path"
    )
    tiles_per_shard: int = setting(
        10_000, "Tiles in a shard; the tiles of one photo are in one shard.", low=1, high=10**7
    )
    assign_splits: bool = setting(
        True,
        "Assign splits as `train` does, each in shards of its own; `false` leaves that to each run.",
    )
    progress: bool = setting(True, "Show progress bars.")
    data: DataConfig = node(
        DataConfig,
        "Data set.",
        factory=data_config,
        unread=("sampler", "mix", "batch_size", "timeout_s", "mm_per_px"),
    )
    trainer: TrainerConfig = node(TrainerConfig, "Threads.", unread=keys_except(TrainerConfig, "threads"))

    def __post_init__(self) -> None:
        check_settings(self)

    def problems(self) -> list[str]:
        """List every contradiction between the nodes."""
        problems = [*self.data.problems(), *unread_problems(self, by="shards")]
        if self.data.split.folds is not None:
            problems.append(
                "data.split.folds: shards have one split; set assign_splits=false, and folds in each run."
            )
        return problems


@dataclass
class CompareConfig:
    """``compare``: finished runs side by side."""

    runs: list[str] = setting(
        MISSING,
        "Runs to compare.",
        values="folders of runs, or folders that hold some, such as a sweep's",
        text="path",
    )
    tested: list[str] = setting(
        [],
        "Runs to test against the reference; by default all, of more than 500 the 20 best on validation "
        "tiles.",
        values="names of runs as in the comparison",
        text="plain",
    )
    outputs: str = setting("outputs", "Folder of all runs.", text="path")

    def problems(self) -> list[str]:
        """Return no problem; there are no nodes that could contradict each other."""
        return []


def _engine_problems(engine: str, trainer: TrainerConfig) -> list[str]:
    if engine == "auto" or (trainer.precision == "auto" and trainer.accelerator != "gpu"):
        return []
    problem = (
        f"engine: '{engine}' determines device and precision; leave trainer.precision and "
        "trainer.accelerator out, or leave engine out."
    )
    return [problem]


@dataclass(frozen=True)
class PositionalPaths:
    """Positional arguments of a command, which are paths.

    Attributes:
        usage: Their usage in ``--help``.
        key: The key that they set.
        several: Whether the key is a list; otherwise there is one path.
        checkpoint: Whether a weights file among them sets ``checkpoint``.
        adds: Overrides that they imply.
    """

    usage: str
    key: str
    several: bool = True
    checkpoint: bool = False
    adds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Command:
    """A command, served by ``crack_lightning/<name>.py``.

    Attributes:
        purpose: What it does, in a line.
        schema: Its dataclass, composed from ``conf/<name>.yaml``; ``None`` for a command without settings.
        example: Example arguments.
        paths: The paths that it takes without a key; ``None`` for none.
    """

    purpose: str
    schema: type[Any] | None
    example: str
    paths: PositionalPaths | None = None


COMMANDS = {
    "train": Command(
        "train a model, test its best checkpoint, write the report",
        TrainConfig,
        "model=resnet18 trainer.max_epochs=5",
    ),
    "evaluate": Command(
        "evaluate a checkpoint on another set, write the report",
        EvaluateConfig,
        "checkpoint=best.ckpt data=metu data.root=tiles",
    ),
    "predict": Command(
        "predict the class of photos, map their cracks",
        PredictConfig,
        "best.ckpt photo.jpg explain=true",
        PositionalPaths("[best.ckpt] [file, folder or pattern …]", "source", checkpoint=True),
    ),
    "audit": Command(
        "find duplicates, near-duplicates, wrong labels and odd files in a set of tiles",
        AuditConfig,
        "tiles/ trainer.threads=2",
        PositionalPaths("[folder]", "data.root", several=False, adds=("data=image_folder",)),
    ),
    "shards": Command(
        "write the tiles of a source as shards, tars with an index, for large sets",
        ShardsConfig,
        "data=metu data.root=tiles tiles_per_shard=20000",
        PositionalPaths("[folder]", "data.root", several=False, adds=("data=image_folder",)),
    ),
    "compare": Command(
        "compare finished runs, test whether they differ",
        CompareConfig,
        "outputs/multirun/2026-11-21/12-00-00 outputs=comparisons",
        PositionalPaths("[folder …]", "runs"),
    ),
    "cache": Command("list the cache of files kept between runs; 'cache clear' empties it", None, "list"),
}
SCHEMAS: dict[str, type[Any]] = {name: entry.schema for name, entry in COMMANDS.items() if entry.schema}
