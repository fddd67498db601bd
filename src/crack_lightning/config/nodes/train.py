"""The schema of ``train``: every node, and the rules between them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from crack_lightning.config.nodes.augmentation import AugmentationConfig
from crack_lightning.config.nodes.cluster import ClusterConfig
from crack_lightning.config.nodes.data import DataConfig, data_config
from crack_lightning.config.nodes.evaluation import EvaluationConfig
from crack_lightning.config.nodes.model import PLAIN_CNN, ModelConfig
from crack_lightning.config.nodes.optimizer import OptimizerConfig, SchedulerConfig
from crack_lightning.config.nodes.recipe import RecipeConfig
from crack_lightning.config.nodes.sweep import SweepConfig
from crack_lightning.config.nodes.trainer import TrainerConfig, default_epochs
from crack_lightning.model.heads.registry import HEADS
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.settings import check_settings, node, seed_setting, setting, unused_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crack_lightning.model.heads.registry import HeadEntry

PRETRAINED_LR = 3e-3
STAGED_LR = 3e-4
PROBE_EPOCHS = 200
_TENSORBOARD = (
    "pytorch_lightning.loggers.TensorBoardLogger",
    "pytorch_lightning.loggers.tensorboard.TensorBoardLogger",
)


@dataclass
class TrainConfig:
    """``train``: fit, test the best checkpoint, report."""

    seed: int = seed_setting("Seed of weights, order and augmentation.")
    outputs: str = setting("outputs", "Folder of all runs.", text="path")
    resume: str | None = setting(None, "Folder of a run to resume, instead of a new run.", text="path")
    progress: bool = setting(True, "Show progress bars.")
    plugins: list[str] = setting([], "Modules of your own, imported before anything is built.")
    data: DataConfig = node(DataConfig, factory=data_config)
    augmentation: AugmentationConfig = node(AugmentationConfig)
    model: ModelConfig = node(ModelConfig)
    recipe: RecipeConfig = node(RecipeConfig)
    optimizer: OptimizerConfig = node(OptimizerConfig)
    scheduler: SchedulerConfig = node(SchedulerConfig)
    trainer: TrainerConfig = node(TrainerConfig)
    cluster: ClusterConfig = node(ClusterConfig, "Cluster that computes the features of `recipe=probe`.")
    evaluation: EvaluationConfig = node(EvaluationConfig)
    sweep: SweepConfig = node(SweepConfig)
    callbacks: dict[str, Any] = setting({}, "Lightning callbacks by name: `_target_` and its arguments.")
    logger: dict[str, Any] = setting({}, "Lightning loggers by name: `_target_` and its arguments.")

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def learning_rate(self) -> float:
        """``optimizer.lr``, or the default of the recipe or of the initial weights."""
        if self.optimizer.lr is not None:
            return self.optimizer.lr
        if self.recipe.name == "probe_then_finetune":
            return STAGED_LR
        return self.model.scratch_lr if self.from_scratch else PRETRAINED_LR

    @property
    def from_scratch(self) -> bool:
        """Whether training starts from random weights, with one learning rate for all."""
        return self.recipe.name == "scratch" and self.model.weights == "none"

    def allows_head(self, head: HeadEntry) -> bool:
        """Return whether a head is valid with these settings, for any data."""
        return not (
            (self._fits_on_features and not head.fits_on_features)
            or (self._mixes_labels and head.needs_masks)
            or (self.model.name == PLAIN_CNN and head.strides)
        )

    @property
    def _possible_heads(self) -> list[HeadEntry]:
        if self.model.head != "auto":
            return [HEADS[self.model.head]]
        return [head for head in HEADS.values() if self.allows_head(head)]

    @property
    def _fits_on_features(self) -> bool:
        return self.recipe.name in ("probe", "probe_then_finetune")

    @property
    def _mixes_labels(self) -> bool:
        return self.augmentation.mixup_alpha > 0 or self.augmentation.cutmix_alpha > 0

    def epochs_for(self, num_train_tiles: int) -> int:
        """Return ``trainer.max_epochs``, or the default of the recipe and the number of training tiles."""
        if self.recipe.name == "probe":
            return self.head_iterations
        return self.trainer.max_epochs or default_epochs(num_train_tiles, len(self.recipe.sizes))

    @property
    def head_iterations(self) -> int:
        """Largest number of L-BFGS iterations to fit a head on features."""
        chosen = self.trainer.max_epochs if self.recipe.name == "probe" else None
        return chosen or PROBE_EPOCHS

    def problems(self) -> list[str]:
        """List every contradiction between the nodes."""
        problems = [*self.data.problems(), *self.recipe.problems(), *self.trainer.problems()]
        if self.resume is None:  # a resumed run has the recipe of its folder
            problems += self.cluster_problems()
        if self.recipe.name == "probe":
            problems += self._probe_problems()
        problems += self._sizes_problems()
        problems += self._head_problems()
        problems += self.sharing_problems()
        if self._mixes_labels and self.recipe.loss.name == "focal":
            problems.append(
                "recipe.loss.name: focal needs hard labels, and MixUp or CutMix makes soft ones; "
                "use recipe.loss.name=cross_entropy, or set both alphas of augmentation to 0."
            )
        return problems

    def require_read(self, overrides: Sequence[str]) -> None:
        """Refuse ``model.scratch_lr`` on the command line where it is not read; option files may set it.

        Args:
            overrides: Overrides on the command line, ``key=value`` each.

        Raises:
            ConfigError: If it is set and not read.
        """
        typed = {override.lstrip("+").partition("=")[0] for override in overrides}
        if "model.scratch_lr" in typed and not self.from_scratch:
            raise ConfigError(
                "model.scratch_lr: only training from random weights reads it, got "
                f"{self.model.scratch_lr} with recipe={self.recipe.name} and "
                f"model.weights={self.model.weights}; leave it out, or set optimizer.lr."
            )

    def cluster_problems(self) -> list[str]:
        """List why a cluster cannot compute for this run."""
        problems = self.cluster.problems()
        if self.cluster.is_used and not self._fits_on_features:
            problems.append(
                f"cluster: only features are computed by shards, and recipe={self.recipe.name} has none; use "
                "recipe=probe, or share batches among hosts by trainer.nodes."
            )
        if self.cluster.gpus:
            problems.append("cluster.gpus: features are computed on cores of the nodes; leave it out.")
        return problems

    def sharing_problems(self) -> list[str]:
        """List why training cannot be distributed over ``trainer.nodes`` and ``trainer.devices``."""
        nodes, problems = self.trainer.nodes, []
        devices = None if self.trainer.devices is None else self.trainer.devices * nodes
        if devices == 1:
            return []
        key = "trainer.devices" if nodes == 1 else "trainer.nodes"
        sharing = f"trainer.nodes={nodes} times " * (nodes > 1) + f"trainer.devices={self.trainer.devices}"
        if self.recipe.name == "probe":
            problems.append(
                f"{key}: recipe=probe has no steps to share, its features are computed once; leave "
                "it out, or use another recipe."
            )
        if devices is not None and self.data.batch_size % devices:
            problems.append(
                f"data.batch_size: expected a multiple of {sharing}, which share a batch, "
                f"got {self.data.batch_size}; set {-(-self.data.batch_size // devices) * devices}."
            )
        problems += [
            f"callbacks.{name}: {target} tries batches in one process, and {key} shares them out; "
            "leave one of them out."
            for name, node in self.callbacks.items()
            if (target := _target(node)).endswith(("BatchSizeFinder", "LearningRateFinder"))
        ]
        return problems

    def _sizes_problems(self) -> list[str]:
        """List problems of ``recipe.sizes``."""
        sizes, last, epochs = self.recipe.sizes, self.model.image_size, self.trainer.max_epochs
        problems = []
        if sizes and max(sizes) > last:
            problems.append(
                f"recipe.sizes: expected sides up to model.image_size={last} pixels, got {sizes}; "
                "tiles are shrunk, never made larger."
            )
        elif sizes and sizes[-1] != last and not any(head.any_size for head in self._possible_heads):
            problems.append(
                f"recipe.sizes: expected sides that end with model.image_size={last} pixels, got {sizes}; "
                "only a local head predicts tiles larger than those it was trained on."
            )
        if epochs is not None and epochs < len(sizes):
            problems.append(
                f"trainer.max_epochs: recipe.sizes has {len(sizes)} sizes, an epoch each at the least, "
                f"got {epochs}; set {len(sizes)} or more."
            )
        return problems

    def _head_problems(self) -> list[str]:
        """List contradictions between head, recipe, weights and augmentation."""
        problems = []
        if self.recipe.name in ("frozen", "probe") and self.model.weights == "none":
            problems.append(
                f"recipe.name: {self.recipe.name} leaves the backbone as it is, and model.weights=none are "
                "random; set model.weights=imagenet or a path."
            )
        problems += self._unread_head_settings()
        name = self.model.head
        if name == "auto":
            return problems
        if self._fits_on_features and not HEADS[name].fits_on_features:
            problems.append(
                f"recipe.name: {self.recipe.name} fits a pooled head on features, and model.head={name} is "
                "trained step by step; use recipe=frozen, or recipe=finetune."
            )
        if self._mixes_labels and HEADS[name].needs_masks:
            problems.append(
                f"augmentation: MixUp and CutMix mix the labels of tiles, and model.head={name} is trained "
                "on masks; set mixup_alpha and cutmix_alpha to 0."
            )
        return problems

    def _unread_head_settings(self) -> list[str]:
        """List the set keys that no possible head reads."""
        problems = []
        read = {key for head in self._possible_heads for key in head.settings}
        for key in (key for head in HEADS.values() for key in head.settings if key not in read):
            node, _, rest = key.partition(".")
            by = f"model.head={self.model.head} here"
            problems += unused_keys(getattr(self, node), node, (rest,), by=by)
        return problems

    def _probe_problems(self) -> list[str]:
        """List settings that a recipe without a training loop does not read."""
        problems = [
            problem
            for node, prefix, keys in (
                (self.optimizer, "optimizer", [item.name for item in fields(self.optimizer)]),
                (self.scheduler, "scheduler", [item.name for item in fields(self.scheduler)]),
                (self.model, "model", ("drop_rate", "drop_path_rate")),
                (self.data, "data", ("sampler", "mix")),
                (self.trainer, "trainer", ("compile", "monitor", "checkpoint_every")),
                (self.augmentation, "augmentation", ("mixup_alpha", "cutmix_alpha", "paint")),
            )
            for problem in unused_keys(node, prefix, keys, by="recipe=probe")
        ]
        if any(self.callbacks.values()):
            problems.append("callbacks: recipe=probe has no steps to call them at; leave it out.")
        problems += [
            f"logger.{name}: recipe=probe has no curves to log, and gives its figures to TensorBoardLogger "
            f"without arguments alone, got {node}; leave it out."
            for name, node in self.logger.items()
            if node and node not in ({"_target_": target} for target in _TENSORBOARD)
        ]
        if bool(self.recipe.views) != (self.augmentation != AugmentationConfig()):
            problems.append(
                "recipe.views: views are what augmentation makes of a tile; set both, for example "
                "recipe.views=4 augmentation=light, or neither."
            )
        return problems


def _target(node: Any) -> str:
    return str(node.get("_target_", "")) if isinstance(node, dict) else ""
