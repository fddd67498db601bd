"""Configuration of a resumed run: that of its folder, with the few permitted changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from omegaconf import OmegaConf

from crack_lightning.config.commands import PredictConfig, ShardsConfig
from crack_lightning.config.nodes.cluster import ClusterConfig
from crack_lightning.config.nodes.train import TrainConfig
from crack_lightning.config.resuming.moved_data import with_moved_data
from crack_lightning.config.resuming.trusted_code import names_code, require_trusted_code
from crack_lightning.config.resuming.untrusted_config import read_untrusted_config
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from omegaconf import DictConfig

_MAY_CHANGE = ("trainer.max_epochs", "trainer.log_every", "progress", "cluster", "resume")


def resumed_config(
    folder: Path, *, current: TrainConfig, overrides: Sequence[str], moved: Mapping[str, str] | None = None
) -> TrainConfig:
    """Read the configuration of a run to resume.

    The folder is untrusted: its configuration is data, and code that it names is run only if the command line
    names it too.

    Args:
        folder: The run's folder.
        current: The configuration of the command line.
        overrides: Overrides on the command line, ``key=value`` each.
        moved: Paths of its data, from :func:`~crack_lightning.config.resuming.moved_data.take_moved_data`.

    Returns:
        The run's configuration, with the permitted changes.

    Raises:
        ConfigError: If the folder holds no run, names code of its own, or a change is not permitted.
        DataError: If links in the folder lead out of it.
    """
    config = read_untrusted_config(folder, TrainConfig, command="train")
    keys = [override.lstrip("+~").partition("=")[0] for override in overrides if not names_code(override)]
    moved = moved or {}
    may_change = {*_MAY_CHANGE, *moved} | ({"data"} if "data.source" in moved else set())
    if refused := [key for key in keys if not {key, key.partition(".")[0]} & may_change]:
        raise ConfigError(
            f"{refused[0]}: a resumed run keeps its settings; only {', '.join(_MAY_CHANGE[:-1])}, and paths "
            "of its data, as in data.root, may change. Leave it out, or start a new run."
        )
    require_trusted_code(config, current, folder=folder, overrides=overrides)
    config = with_moved_data(config, moved)
    if "trainer.max_epochs" in keys:
        if (current.trainer.max_epochs or 0) < (config.trainer.max_epochs or 0):
            raise ConfigError(
                f"trainer.max_epochs: expected at least the run's {config.trainer.max_epochs}, "
                f"got {current.trainer.max_epochs}; it may only grow on resume."
            )
        config.trainer.max_epochs = current.trainer.max_epochs
    if "trainer.log_every" in keys:
        config.trainer.log_every = current.trainer.log_every
    config.progress, config.cluster = current.progress, current.cluster  # the folder's could run code here
    if problems := config.cluster_problems():
        raise ConfigError("\n".join(problems))
    return config


def resumed_prediction(
    folder: Path, *, progress: bool, cluster: DictConfig, overrides: Sequence[str]
) -> PredictConfig:
    """Read the configuration of a prediction to resume, from an untrusted folder.

    Args:
        folder: The prediction's folder.
        progress: Whether to show bars, which may change.
        cluster: The command line's node: a cluster named by the folder could run code here.
        overrides: Overrides on the command line, ``key=value`` each.

    Raises:
        ConfigError: If the folder holds no prediction, or a change is not permitted.
        DataError: If links in the folder lead out of it.
    """
    config = read_untrusted_config(folder, PredictConfig, command="predict")
    _require_kept(overrides, may_change=("progress", "resume", "cluster"))
    own = ClusterConfig(**cast("dict[str, Any]", OmegaConf.to_container(cluster, resolve=True)))
    if config.cluster.name != own.name:
        raise ConfigError(
            f"cluster: the prediction in '{folder}' was begun with cluster={config.cluster.name}, got "
            f"{own.name}; add cluster={config.cluster.name}, with its address if it has one."
        )
    config.progress, config.resume, config.cluster = progress, str(folder), own
    if problems := config.problems():
        raise ConfigError("\n".join(problems))
    return config


def resumed_shards(folder: Path, *, progress: bool, overrides: Sequence[str]) -> ShardsConfig:
    """Read the configuration of shards to complete, as :func:`resumed_prediction` does."""
    config = read_untrusted_config(folder, ShardsConfig, command="shards")
    _require_kept(overrides, may_change=("progress", "resume"))
    config.progress, config.resume = progress, str(folder)
    return config


def _require_kept(overrides: Sequence[str], *, may_change: Sequence[str]) -> None:
    keys = [override.lstrip("+~").partition("=")[0] for override in overrides]
    if refused := [key for key in keys if key.partition(".")[0] not in may_change]:
        raise ConfigError(
            f"{refused[0]}: a resumed run keeps its settings; only progress may change. "
            "Leave it out, or start a new run."
        )
