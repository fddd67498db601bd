"""Factory: hardware plan, DataModule, classifier and probe from a configuration."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from crack_lightning.data.io.tile_size import median_side_px
from crack_lightning.data.split_tiles import SplitTiles
from crack_lightning.data.transforms.augmentation import Augmentation
from crack_lightning.model.backbones import normalisation
from crack_lightning.model.backends.inference_model import InferenceModel
from crack_lightning.model.heads.registry import DEFAULT_HEAD, HEADS
from crack_lightning.model.losses import balanced_class_weights
from crack_lightning.model.train_fingerprints import pack_digests
from crack_lightning.model.weights.load import load_weights
from crack_lightning.runtime.cache import cache_folder
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.hardware import HardwarePlan, configure_process, plan_hardware
from crack_lightning.training.probe import LinearProbe, ProbeSettings

if TYPE_CHECKING:
    from crack_lightning.config import TrainConfig
    from crack_lightning.config.nodes.data import DataConfig
    from crack_lightning.config.nodes.recipe import RecipeConfig
    from crack_lightning.config.nodes.trainer import TrainerConfig
    from crack_lightning.data.datamodule import CrackDataModule
    from crack_lightning.data.table import TileTable
    from crack_lightning.model.backends.inference_model import InferenceParts
    from crack_lightning.model.classifier import CrackClassifier

log = logging.getLogger(__name__)
P = TypeVar("P", bound="InferenceParts")
_MIXING = {"mixup_alpha": "mixup_alpha", "cutmix_alpha": "cutmix_alpha", "mix_probability": "probability"}


def hardware_plan(trainer: TrainerConfig, *, num_workers: int | None) -> HardwarePlan:
    """Return the hardware plan of this machine, and configure this process by it."""
    plan = plan_hardware(
        accelerator=trainer.accelerator,
        precision=trainer.precision,
        threads=trainer.threads,
        num_workers=num_workers,
        devices=trainer.devices,
        nodes=trainer.nodes,
    )
    configure_process(plan.threads)
    return plan


def build_datamodule(
    config: TrainConfig, table: TileTable, *, plan: HardwarePlan, rank: int = 0, num_ranks: int = 1
) -> CrackDataModule:
    """Build the DataModule of a run, or of one of its DDP processes."""
    from crack_lightning.data.datamodule import CrackDataModule

    settings = asdict(config.augmentation)
    mixing = {name: settings.pop(key) for key, name in _MIXING.items()}
    paint = settings.pop("paint")
    if paint and (table.positive_index is None or len(table.class_names) != 2):
        raise ConfigError(
            f"augmentation.paint: painting needs the classes intact and crack, got "
            f"{', '.join(table.class_names)}; set augmentation.paint=0."
        )
    return CrackDataModule(
        table,
        image_size=config.model.image_size,
        batch_size=config.data.batch_size,
        num_workers=plan.num_workers,
        timeout_s=config.data.timeout_s,
        seed=config.seed,
        sampler=config.data.sampler,
        mix=config.data.mix,
        augmentation=Augmentation(**settings),
        paint=paint,
        masks=HEADS[config.model.head].needs_masks,
        mixing=mixing if mixing["mixup_alpha"] or mixing["cutmix_alpha"] else {},
        max_train_batches=config.trainer.max_train_batches,
        max_val_batches=config.trainer.max_val_batches,
        sizes=config.recipe.sizes,
        pin_memory=plan.accelerator == "gpu",
        rank=rank,
        num_ranks=num_ranks,
    )


def build_test_datamodule(
    data: DataConfig, classifier: CrackClassifier, table: TileTable, *, plan: HardwarePlan
) -> CrackDataModule:
    """Build the DataModule of an evaluation."""
    from crack_lightning.data.datamodule import CrackDataModule

    return CrackDataModule(
        table,
        image_size=int(classifier.hparams["image_size"]),
        batch_size=data.batch_size,
        num_workers=plan.num_workers,
        timeout_s=data.timeout_s,
        seed=0,
        sampler="shuffled",
        augmentation=Augmentation(),
        mixing={},
        pin_memory=plan.accelerator == "gpu",
    )


def suitable_head(config: TrainConfig, table: TileTable) -> str:
    """Return ``model.head``; for ``auto``, a head that needs masks if training tiles have masks."""
    if config.model.head != "auto":
        return config.model.head
    masks = table.extra.get("mask", np.full(len(table), ""))[table.split == "train"]
    has_masks = config.augmentation.paint > 0 or bool((masks != "").any())
    two_classes = len(table.class_names) == 2 and table.positive_index is not None
    if has_masks and two_classes:
        for name, head in HEADS.items():
            if head.needs_masks and config.allows_head(head) and head.load().supports(config.model.name):
                return name
    return DEFAULT_HEAD


def build_split_tiles(config: TrainConfig, table: TileTable, *, plan: HardwarePlan) -> SplitTiles:
    """Build the tiles of a linear probe, which reads them without Lightning's loaders."""
    settings = asdict(config.augmentation)
    for key in (*_MIXING, "paint"):
        del settings[key]
    return SplitTiles(
        table,
        image_size=config.model.image_size,
        batch_size=config.data.batch_size,
        seed=config.seed,
        augmentation=Augmentation(**settings),
        threads=plan.threads,
        max_train_batches=config.trainer.max_train_batches,
        max_val_batches=config.trainer.max_val_batches,
    )


def build_classifier(config: TrainConfig, table: TileTable) -> CrackClassifier:
    """Build the classifier of a run with its initial weights."""
    from crack_lightning.model.classifier import CrackClassifier

    return _with_weights(CrackClassifier(**_hyper_parameters(config, table)), config, table)


def build_inference_model(config: TrainConfig, table: TileTable) -> InferenceModel:
    """Build the classifier for inference alone, for a linear probe."""
    return _with_weights(InferenceModel(**_hyper_parameters(config, table)), config, table)


def _hyper_parameters(config: TrainConfig, table: TileTable) -> dict[str, Any]:
    model, recipe = config.model, config.recipe
    mean, std = normalisation(model.name)
    loss = asdict(recipe.loss) | {"class_weights": _class_weights(recipe, table)}
    weight = loss.pop("cells")
    return {
        "name": model.name,
        "class_names": list(table.class_names),
        "positive_class": table.positive_class,
        "image_size": model.image_size,
        "mean": list(mean),
        "std": list(std),
        "drop_rate": model.drop_rate,
        "drop_path_rate": model.drop_path_rate,
        "recipe": recipe.name,
        "backbone_lr_scale": recipe.backbone_lr_scale,
        "stage_lr_scale": recipe.stage_lr_scale,
        "unfreeze_by": recipe.unfreeze_by,
        "loss": loss,
        "optimizer": asdict(config.optimizer),
        "scheduler": asdict(config.scheduler),
        "label": model.label,
        "head": model.head,
        "cell_loss": weight,
        "top_k_fraction": model.top_k_fraction,
        "train_scale": train_scale(table, image_size=model.image_size),
    }


def _with_weights(classifier: P, config: TrainConfig, table: TileTable) -> P:
    """Load the initial weights and the fingerprints of the training tiles."""
    loaded = load_weights(
        classifier.head.pretrained_module(classifier.backbone),
        name=config.model.name,
        weights=config.model.weights,
        image_size=config.model.image_size,
    )
    for note in loaded.notes:
        log.info("weights: %s", note)
    if loaded.caution:
        log.warning("weights: %s", loaded.caution)
    classifier.weights_caution = loaded.caution
    classifier.train_fingerprints = pack_digests(_train_digests(table))
    return classifier


def train_scale(table: TileTable, *, image_size: int) -> float | None:
    """Return input pixels of the network per pixel of the training files; ``None`` if unknown.

    With ``recipe.sizes`` it is the scale at ``model.image_size``, at which the threshold is chosen.
    """
    side_px = median_side_px(table)
    return None if side_px is None else round(image_size / side_px, 6)


def _class_weights(recipe: RecipeConfig, table: TileTable) -> list[float] | None:
    if recipe.loss.class_weights != "balanced":
        return None
    counts = np.bincount(table.label[table.split == "train"], minlength=len(table.class_names))
    return balanced_class_weights(counts.tolist())


def _train_digests(table: TileTable) -> list[str]:
    """Return the digests of training and validation tiles, and of painted tiles' originals."""
    fitted = (table.split == "train") | (table.split == "val")
    painted_on = table.extra.get("painted_on", np.full(len(table), ""))[fitted]
    return [*table.sha256[fitted].tolist(), *painted_on[painted_on != ""].tolist()]


def build_probe(
    config: TrainConfig, classifier: InferenceParts, tiles: SplitTiles, *, plan: HardwarePlan
) -> LinearProbe:
    """Build the linear probe of a run, with features of its tiles computed or from the cache."""
    return LinearProbe(
        classifier,
        tiles,
        settings=ProbeSettings(
            engine=config.recipe.engine,
            views=config.recipe.views,
            threads=plan.threads,
            device="cuda" if plan.accelerator == "gpu" and not config.cluster.is_used else "cpu",
            precision=plan.precision,
            cache=cache_folder(),
            show_progress=config.progress,
            cluster=config.cluster.reservation(plan.threads) if config.cluster.is_used else None,
            shard_size=config.cluster.tiles_a_shard,
        ),
    )
