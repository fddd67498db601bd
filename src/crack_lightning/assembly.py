"""The only assembler: configuration to tiles, DataModule, classifier and Trainer."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy

from crack_lightning.cache_entries import cache_folder
from crack_lightning.data.augmentation import Augmentation
from crack_lightning.data.datamodule import CrackDataModule
from crack_lightning.errors import ConfigError, DataError
from crack_lightning.hardware import HardwarePlan, configure_process, plan_hardware
from crack_lightning.model.backbones import normalisation
from crack_lightning.model.classifier import CrackClassifier, digests
from crack_lightning.model.heads import has_local_features, pretrained_part
from crack_lightning.model.losses import balanced_class_weights
from crack_lightning.model.trained import DIGEST_BYTES
from crack_lightning.model.weights import load_weights
from crack_lightning.targets import build_targets
from crack_lightning.training.checkpoints import WholeCheckpointIO
from crack_lightning.training.probe import Probe, ProbeSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_lightning.strategies import Strategy

    from crack_lightning.config import TrainConfig
    from crack_lightning.config.data import DataConfig
    from crack_lightning.config.trainer import TrainerConfig
    from crack_lightning.data.table import TileTable

log = logging.getLogger(__name__)
_MIXING = {"mixup_alpha": "mixup_alpha", "cutmix_alpha": "cutmix_alpha", "mix_probability": "probability"}


def hardware_plan(trainer: TrainerConfig, *, num_workers: int | None) -> HardwarePlan:
    """Plan for this machine and set this process up for it."""
    plan = plan_hardware(
        accelerator=trainer.accelerator,
        precision=trainer.precision,
        threads=trainer.threads,
        num_workers=num_workers,
        devices=trainer.devices,
    )
    configure_process(plan.threads)
    return plan


def build_datamodule(
    config: TrainConfig, table: TileTable, *, plan: HardwarePlan, rank: int = 0, num_ranks: int = 1
) -> CrackDataModule:
    """Build the loaders of a run, or of one of the processes that share its batches."""
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
        masks=config.model.head == "local",
        mixing=mixing if mixing["mixup_alpha"] or mixing["cutmix_alpha"] else {},
        max_train_batches=config.trainer.max_train_batches,
        max_val_batches=config.trainer.max_val_batches,
        sizes=config.recipe.sizes,
        pin_memory=plan.accelerator == "gpu",
        rank=rank,
        num_ranks=num_ranks,
    )


def suitable_head(config: TrainConfig, table: TileTable) -> str:
    """Return ``model.head``; of ``auto``, ``local`` where masks of training tiles can teach it."""
    if config.model.head != "auto":
        return config.model.head
    masks = table.extra.get("mask", np.full(len(table), ""))[table.split == "train"]
    taught = config.augmentation.paint > 0 or bool((masks != "").any())
    two = len(table.class_names) == 2 and table.positive_index is not None
    allowed = taught and two and config.allows_local_head
    return "local" if allowed and has_local_features(config.model.name) else "pooled"


def build_classifier(config: TrainConfig, table: TileTable) -> CrackClassifier:
    """Build the model, with the weights to start from."""
    model, recipe = config.model, config.recipe
    mean, std = normalisation(model.name)
    counts = np.bincount(table.label[table.split == "train"], minlength=len(table.class_names))
    balanced = recipe.loss.class_weights == "balanced"
    loss = asdict(recipe.loss)
    weight = loss.pop("cells")
    classifier = CrackClassifier(
        name=model.name,
        class_names=list(table.class_names),
        positive_class=table.positive_class,
        image_size=model.image_size,
        mean=list(mean),
        std=list(std),
        drop_rate=model.drop_rate,
        drop_path_rate=model.drop_path_rate,
        recipe=recipe.name,
        backbone_lr_scale=recipe.backbone_lr_scale,
        stage_lr_scale=recipe.stage_lr_scale,
        all_stages_by=recipe.all_stages_by,
        loss={
            **loss,
            "class_weights": balanced_class_weights(counts.tolist()) if balanced else None,
        },
        optimizer=asdict(config.optimizer),
        scheduler=asdict(config.scheduler),
        label=model.label,
        head=model.head,
        cell_loss=weight,
    )
    notes = load_weights(
        pretrained_part(classifier.backbone),
        name=model.name,
        weights=model.weights,
        image_size=model.image_size,
    )
    for note in notes:
        log.info("weights: %s", note)
    known = (table.split == "train") | (table.split == "val")
    below = table.extra.get("painted_on", np.full(len(table), ""))[known]
    seen = [*table.sha256[known], *below[below != ""]]
    classifier.seen_tiles = digests(list(map(str, seen)))
    return classifier


def build_probe(
    config: TrainConfig, classifier: CrackClassifier, datamodule: CrackDataModule, *, plan: HardwarePlan
) -> Probe:
    """Compute the features of a run's tiles, or find them in the cache."""
    return Probe(
        classifier,
        datamodule,
        settings=ProbeSettings(
            engine=config.recipe.engine,
            views=config.recipe.views,
            threads=plan.threads,
            device="cuda" if plan.accelerator == "gpu" else "cpu",
            precision=plan.precision,
            cache=cache_folder(),
            show_progress=config.progress,
        ),
    )


def build_trainer(
    config: TrainConfig,
    *,
    folder: Path,
    plan: HardwarePlan,
    callbacks: list[pl.Callback],
    purge_step: int | None,
) -> pl.Trainer:
    """Build Lightning's Trainer, with the configured callbacks and loggers beside the run's own.

    Where the plan has several devices, it is for one of the processes that share the training.
    """
    defaults = {
        "monitor": config.trainer.monitor,
        "mode": "min" if config.trainer.monitor.endswith("loss") else "max",
        **_logged_in(folder),
    }
    nodes = {
        name: node for name, node in config.callbacks.items() if config.progress or "progress" not in name
    }
    if not config.logger:
        nodes = {name: node for name, node in nodes.items() if not str(node).count("LearningRateMonitor")}
    chosen = build_targets("callbacks", nodes, defaults=defaults, plugins=config.plugins)
    loggers = build_targets(
        "logger", config.logger, defaults=defaults | {"purge_step": purge_step}, plugins=config.plugins
    )
    if config.recipe.ema_decay:
        chosen.append(pl.callbacks.EMAWeightAveraging(decay=config.recipe.ema_decay))
    return pl.Trainer(
        accelerator=plan.accelerator,
        devices=plan.devices,
        strategy=_strategy(config, plan),
        precision=cast("Any", plan.lightning_precision),
        max_epochs=config.trainer.max_epochs,
        callbacks=[*chosen, *callbacks],
        logger=loggers or False,
        # not the cluster's: the run starts what processes it has itself
        plugins=[WholeCheckpointIO(), LightningEnvironment()],
        default_root_dir=folder,
        gradient_clip_val=config.recipe.gradient_clip or None,
        log_every_n_steps=config.trainer.log_every,
        num_sanity_val_steps=0,
        enable_progress_bar=config.progress and any("progress" in name for name in nodes),
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _strategy(config: TrainConfig, plan: HardwarePlan) -> Strategy | str:
    if plan.devices == 1:
        return "auto"
    # its stages open one by one, and the closed ones have no gradients to wait for
    return DDPStrategy(find_unused_parameters=config.recipe.name == "probe_then_finetune")


def _logged_in(folder: Path) -> dict[str, Any]:
    return {"save_dir": folder, "name": "", "version": "tensorboard", "default_hp_metric": False}


def unseen_tiles(table: TileTable, classifier: CrackClassifier) -> tuple[TileTable, int]:
    """Return what a model may be tested on, as split ``test``, and how many known tiles were left out.

    Where folders decided the splits, their test split alone counts; everywhere a tile is left out whose bytes
    the model was trained or validated on.

    Raises:
        DataError: If the set's classes are not the model's, or nothing is left.
    """
    if (table.split == "test").any():
        table = table.select(table.split == "test")
    known = {row.tobytes() for row in classifier.seen_tiles.numpy()}
    fresh = np.array(
        [bytes.fromhex(digest)[:DIGEST_BYTES] not in known for digest in table.sha256], dtype=bool
    )
    if not fresh.any():
        raise DataError(
            f"data: all {len(table)} tiles were in this model's training or validation; "
            "give a set that is new to it."
        )
    kept = table.select(fresh)
    split = np.full(len(kept), "test")
    return in_classes_of(kept, classifier).with_columns(split=split), int((~fresh).sum())


def in_classes_of(table: TileTable, classifier: CrackClassifier) -> TileTable:
    """Return the table with the model's classes in the model's order.

    Raises:
        DataError: If the table has a class that the model has not.
    """
    names = tuple(classifier.hparams["class_names"])
    if foreign := [name for name in table.class_names if name not in names]:
        raise DataError(
            f"data.class_names: the model knows {', '.join(names)}, and the set has {', '.join(foreign)}; "
            "map its folders with data.class_names={folder: class}."
        )
    order = np.array([names.index(name) for name in table.class_names], dtype=np.int64)
    return replace(
        table,
        class_names=names,
        positive_class=classifier.hparams["positive_class"],
        label=order[table.label],
    )


def build_test_datamodule(
    data: DataConfig, classifier: CrackClassifier, table: TileTable, *, plan: HardwarePlan
) -> CrackDataModule:
    """Build the loader of an evaluation."""
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


def build_test_trainer(
    folder: Path, *, plan: HardwarePlan, progress: bool, logger: Mapping[str, Any] | None = None
) -> pl.Trainer:
    """Build Lightning's Trainer for an evaluation, or for the test of a run that several trained."""
    loggers = build_targets("logger", logger or {}, defaults=_logged_in(folder), plugins=[])
    return pl.Trainer(
        accelerator=plan.accelerator,
        devices=1,
        precision=cast("Any", plan.lightning_precision),
        logger=loggers or False,
        plugins=[LightningEnvironment()],
        callbacks=[pl.callbacks.RichProgressBar()] if progress else [],
        enable_progress_bar=progress,
        enable_checkpointing=False,
        enable_model_summary=False,
        default_root_dir=folder,
        use_distributed_sampler=False,
    )
