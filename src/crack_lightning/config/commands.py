"""The schemas of the commands that use what ``train`` made, one each."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from omegaconf import MISSING

from crack_lightning.config.nodes.data import DataConfig
from crack_lightning.config.nodes.recipe import ENGINES
from crack_lightning.config.nodes.sweep import SweepConfig
from crack_lightning.config.nodes.trainer import TrainerConfig
from crack_lightning.config.validators import require_choice, require_range, unused_keys
from crack_lightning.runtime.errors import ConfigError

_SIDES = ("train_sources", "test_sources")
MACHINE_KEYS = ("accelerator", "precision", "threads")


@dataclass
class EvaluateConfig:
    """``evaluate``: a checkpoint's report on another set.

    Attributes:
        checkpoint: A run's ``best.ckpt``, or ``builtin``.
        outputs: Folder of all runs.
        engine: What computes on a CPU, as for ``predict``; ``auto`` is ``eager`` for fewer than 1,000 tiles.
        progress: Show progress bars.
        data: The set; tiles that the model was trained or validated on are left out.
        trainer: Only ``accelerator``, ``precision`` and ``threads`` are read.
        sweep: What ``-m`` does with its jobs; a run without it reads none of it.
    """

    checkpoint: str = MISSING
    outputs: str = "outputs"
    engine: str = "auto"
    progress: bool = True
    data: DataConfig = field(default_factory=DataConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)

    def __post_init__(self) -> None:
        require_choice("engine", self.engine, ENGINES)

    def problems(self) -> list[str]:
        """List every contradiction between the nodes."""
        of_split = [item.name for item in fields(self.data.split)]
        unused = [
            *unused_keys(self.data, "data", ("sampler", "mix", *_SIDES), by="evaluate"),
            *unused_keys(self.data.split, "data.split", of_split, by="evaluate"),
        ]
        machine = [
            *_machine_problems(self.trainer, by="evaluate"),
            *_engine_problems(self.engine, self.trainer),
        ]
        return [*self.data.problems(), *unused, *machine]


@dataclass
class AuditConfig:
    """``audit``: what is wrong or odd in a set of tiles.

    Attributes:
        outputs: Folder of all runs.
        progress: Show progress bars.
        data: The set.
        trainer: Only ``threads`` is read.
        sweep: What ``-m`` does with its jobs; a run without it reads none of it.
    """

    outputs: str = "outputs"
    progress: bool = True
    data: DataConfig = field(default_factory=DataConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)

    def problems(self) -> list[str]:
        """List every contradiction between the nodes."""
        unused = (
            "sampler",
            "mix",
            *_SIDES,
            "batch_size",
            "num_workers",
            "timeout_s",
            "on_unreadable",
            "mm_per_px",
        )
        if self.data.source == "painted":
            return ["data: audit looks at files that are there; audit data.base itself."]
        others = [item.name for item in fields(self.trainer) if item.name != "threads"]
        of_split = [item.name for item in fields(self.data.split) if item.name != "recover_photos"]
        return [
            *self.data.problems(),
            *unused_keys(self.data, "data", unused, by="audit"),
            *unused_keys(self.data.split, "data.split", of_split, by="audit"),
            *unused_keys(self.trainer, "trainer", others, by="audit"),
        ]


@dataclass
class PredictConfig:
    """``predict``: a checkpoint's answers for files.

    Attributes:
        checkpoint: A run's ``best.ckpt``, or ``builtin`` for the head that comes with the package.
        source: Files, folders or glob patterns.
        outputs: Folder of all runs.
        resume: The folder of a prediction that was interrupted; it goes on with the pictures that have no
            answer yet, as it was configured.
        threshold: Call a crack from this probability on, between 0 and 1; ``null`` takes the checkpoint's.
        annotate: Also write each picture with its class and probability on it.
        explain: Also write each picture with the places where the model sees evidence; a pass forth and back.
        map: Look at each picture at its own size and write where its cracks are; needs a local head. A
            picture is called by its tile that is likeliest cracked. ``null`` does so for ``builtin``.
        scale: Pixels of the network's input per pixel of a photo that is mapped; ``null`` is the scale of
            training, 1 the photo's own pixels.
        abstain: Give no answer for pictures too unlike the training tiles; of a mapped picture its likeliest
            tile counts.
        batch_size: Tiles at once.
        engine: What computes, as ``recipe.engine``; ``auto`` is ``eager`` on a GPU, where
            ``trainer.precision`` is set, and for fewer than 1,000 pictures or, with ``map``, 10 megapixels.
        progress: Show progress bars.
        trainer: Only ``accelerator``, ``precision`` and ``threads`` are read.
        sweep: What ``-m`` does with its jobs; a run without it reads none of it.
    """

    checkpoint: str = MISSING
    source: list[str] = MISSING
    outputs: str = "outputs"
    resume: str | None = None
    threshold: float | None = None
    annotate: bool = False
    explain: bool = False
    map: bool | None = None
    scale: float | None = None
    abstain: bool = False
    batch_size: int = 32
    engine: str = "auto"
    progress: bool = True
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)

    def __post_init__(self) -> None:
        require_choice("engine", self.engine, ENGINES)
        require_range("batch_size", self.batch_size, low=1)
        if self.scale is not None:
            require_range("scale", self.scale, low=1e-6, high=16)
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise ConfigError(f"threshold: expected a number between 0 and 1, got {self.threshold}.")

    @property
    def makes_maps(self) -> bool:
        """Whether pictures are mapped at their own size: as ``map`` says, else with ``builtin`` alone."""
        return self.checkpoint == "builtin" if self.map is None else self.map

    def problems(self) -> list[str]:
        """List every contradiction between the nodes."""
        found = [*_machine_problems(self.trainer, by="predict"), *_engine_problems(self.engine, self.trainer)]
        if self.scale is not None and not self.makes_maps:
            found.append(
                f"scale: a photo is mapped at it, got {self.scale} without a map; set map=true, or "
                "leave it out."
            )
        return found


@dataclass
class CompareConfig:
    """``compare``: finished runs side by side.

    Attributes:
        runs: Folders of runs, or folders that hold some, such as a sweep's.
        outputs: Folder of all runs.
    """

    runs: list[str] = MISSING
    outputs: str = "outputs"

    def problems(self) -> list[str]:
        """List every contradiction; there can be none."""
        return []


def _machine_problems(trainer: TrainerConfig, *, by: str) -> list[str]:
    training = [item.name for item in fields(trainer) if item.name not in MACHINE_KEYS]
    return [*trainer.problems(), *unused_keys(trainer, "trainer", training, by=by)]


def _engine_problems(engine: str, trainer: TrainerConfig) -> list[str]:
    if engine == "auto" or (trainer.precision == "auto" and trainer.accelerator != "gpu"):
        return []
    problem = (
        f"engine: '{engine}' says itself in what precision the CPU computes; leave trainer.precision and "
        "trainer.accelerator out, or leave engine out."
    )
    return [problem]
