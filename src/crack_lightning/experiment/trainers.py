"""Lightning Trainers for training and for testing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import DeviceStatsMonitor, LearningRateMonitor, ProgressBar
from pytorch_lightning.strategies import DDPStrategy

from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.targets import build_targets, nodes_of_class
from crack_lightning.training.checkpoints import AtomicCheckpointIO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytorch_lightning.strategies import Strategy

    from crack_lightning.config import TrainConfig
    from crack_lightning.runtime.hardware import HardwarePlan


_LOGGING = (DeviceStatsMonitor, LearningRateMonitor)
"""Callbacks that Lightning refuses without a logger."""


def build_trainer(
    config: TrainConfig,
    *,
    folder: Path,
    plan: HardwarePlan,
    callbacks: list[pl.Callback],
    purge_step: int | None,
) -> pl.Trainer:
    """Build Lightning's Trainer with the run's own and the configured callbacks and loggers.

    Args:
        config: The run's settings.
        folder: The run's folder, to which the loggers write.
        plan: The hardware plan; with several processes the Trainer is that of one DDP worker.
        callbacks: The run's own callbacks.
        purge_step: Step from which TensorBoard discards earlier events of a resumed run; ``None`` for a new
            run.

    Raises:
        ConfigError: If a callback or a logger cannot be built.
    """
    _silence_lightning()
    defaults = {
        "dirpath": folder / "callbacks",  # of a checkpoint beside the run's own
        "monitor": config.trainer.monitor,
        "mode": "min" if config.trainer.monitor.endswith("loss") else "max",
        **_logger_arguments(folder),
    }
    nodes = _usable_callbacks(config)
    chosen = build_targets("callbacks", nodes, defaults=defaults, plugins=config.plugins)
    loggers = build_targets(
        "logger", config.logger, defaults=defaults | {"purge_step": purge_step}, plugins=config.plugins
    )
    if config.recipe.ema_decay:
        chosen.append(pl.callbacks.EMAWeightAveraging(decay=config.recipe.ema_decay))
    return pl.Trainer(
        accelerator=plan.accelerator,
        devices=plan.devices,
        num_nodes=plan.nodes,
        strategy=_strategy(config, plan),
        precision=cast("Any", plan.lightning_precision),
        max_epochs=config.trainer.max_epochs,
        callbacks=[*chosen, *callbacks],
        logger=loggers or False,
        # not the cluster's environment: the run starts its own processes
        plugins=[AtomicCheckpointIO(), LightningEnvironment()],
        default_root_dir=folder,
        gradient_clip_val=config.recipe.gradient_clip or None,
        log_every_n_steps=config.trainer.log_every,
        num_sanity_val_steps=0,
        enable_progress_bar=shows_progress(config),
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def build_test_trainer(
    folder: Path,
    *,
    plan: HardwarePlan,
    progress: bool,
    logger: Mapping[str, Any] | None = None,
    plugins: Sequence[str] = (),
) -> pl.Trainer:
    """Build Lightning's Trainer for an evaluation, or for the test of a run trained by DDP."""
    _silence_lightning()
    loggers = build_targets("logger", logger or {}, defaults=_logger_arguments(folder), plugins=plugins)
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


def _silence_lightning() -> None:
    """Let Lightning log warnings alone; its import sets the level, so that a level set before is lost."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)


def _usable_callbacks(config: TrainConfig) -> dict[str, Any]:
    """Return the configured callbacks, without those whose progress bar or logger is absent.

    Raises:
        ConfigError: If there are several progress bars.
    """
    bars = nodes_of_class(config.callbacks, ProgressBar, plugins=config.plugins)
    if len(bars) > 1:
        raise ConfigError(
            f"callbacks: one progress bar is expected, got {', '.join(bars)}; set "
            f"callbacks.{next(iter(bars))}=null."
        )
    inactive = {} if config.progress else bars
    if not any(config.logger.values()):
        inactive |= nodes_of_class(config.callbacks, _LOGGING, plugins=config.plugins)
    return {name: node for name, node in config.callbacks.items() if name not in inactive}


def shows_progress(config: TrainConfig) -> bool:
    """Return whether the Trainer of a run has a progress bar."""
    return config.progress and bool(nodes_of_class(config.callbacks, ProgressBar, plugins=config.plugins))


def _strategy(config: TrainConfig, plan: HardwarePlan) -> Strategy | str:
    if plan.processes == 1:
        return "auto"
    # frozen layer groups have no gradients to wait for
    return DDPStrategy(find_unused_parameters=config.recipe.name == "probe_then_finetune")


def _logger_arguments(folder: Path) -> dict[str, Any]:
    # not as a version, whose end Lightning shows beside its progress bar
    return {"save_dir": folder, "name": "tensorboard", "version": "", "default_hp_metric": False}
