"""A run's own configuration again, with the few changes that leave its result comparable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from crack_lightning.config.parse import parse
from crack_lightning.config.train import TrainConfig
from crack_lightning.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MAY_CHANGE = ("trainer.max_epochs", "trainer.log_every", "progress", "resume")


def resumed_config(folder: Path, *, asked: TrainConfig, overrides: Sequence[str]) -> TrainConfig:
    """Read the configuration of a run that is to go on.

    Args:
        folder: The run's folder.
        asked: What the command line composes to.
        overrides: What the user typed, ``key=value`` each.

    Returns:
        The run's configuration, with the permitted changes.

    Raises:
        ConfigError: If the folder holds no run, or a change is not permitted.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise ConfigError(
            f"resume: there is no run in '{folder}' (no config.yaml); give the folder of a run."
        )
    try:
        config = parse(DictConfig(OmegaConf.load(path)), TrainConfig)
    except ConfigError as error:
        raise ConfigError(
            f"resume: '{path}' is of no run of train here ({error}); give one's folder."
        ) from None
    except (OSError, YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"resume: '{path}' cannot be read ({error}).") from None
    keys = [override.lstrip("+~").partition("=")[0] for override in overrides]
    if refused := [key for key in keys if key not in _MAY_CHANGE]:
        raise ConfigError(
            f"{refused[0]}: a resumed run keeps its settings; only {', '.join(_MAY_CHANGE[:-1])} may change. "
            "Leave it out, or start a new run."
        )
    if "trainer.max_epochs" in keys:
        if (asked.trainer.max_epochs or 0) < (config.trainer.max_epochs or 0):
            raise ConfigError(
                f"trainer.max_epochs: expected at least the run's {config.trainer.max_epochs}, "
                f"got {asked.trainer.max_epochs}; it may only grow on resume."
            )
        config.trainer.max_epochs = asked.trainer.max_epochs
    if "trainer.log_every" in keys:
        config.trainer.log_every = asked.trainer.log_every
    config.progress = asked.progress
    return config
