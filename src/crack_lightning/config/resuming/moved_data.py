"""New paths of data that were moved before a run is resumed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from crack_lightning.config.nodes.data import data_config
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.files.paths import expand_user

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omegaconf import DictConfig

    from crack_lightning.config.nodes.train import TrainConfig

_PATHS = re.compile(r"data\.(?:sources\.(?P<source>[^.]+)\.)?(?P<name>root|archive|exclude)")


def take_moved_data(composed: DictConfig, overrides: Sequence[str]) -> dict[str, str]:
    """Return the new data paths on the command line of a resumed run.

    Args:
        composed: Composed configuration; for a resumed run its ``data`` node is reset to the default, as the
            run's own is read from its folder.
        overrides: Overrides on the command line, ``key=value`` each.

    Returns:
        New paths by key, and ``data.source`` for ``data=…``; empty for a new run.
    """
    if OmegaConf.select(composed, "resume", default=None) is None:
        return {}
    typed = {override.lstrip("+").partition("=")[0] for override in overrides}
    keys = sorted(filter(_PATHS.fullmatch, typed)) + ["data.source"] * ("data" in typed)
    moved = {key: str(OmegaConf.select(composed, key)) for key in keys}
    if moved:
        composed.data = data_config()
    return moved


def with_moved_data(config: TrainConfig, moved: Mapping[str, str]) -> TrainConfig:
    """Return a run's configuration with new paths of its data.

    Args:
        config: The run's configuration; it is changed.
        moved: From :func:`take_moved_data`.

    Raises:
        ConfigError: If the run's data have no such path, or are of another source.
    """
    for key, value in moved.items():
        if key == "data.source":
            if value != config.data.source:
                raise ConfigError(
                    f"data: a resumed run keeps data={config.data.source}, got {value}; leave it out."
                )
            continue
        match = _PATHS.fullmatch(key)
        assert match is not None, key
        if match["source"] is None:
            if not hasattr(config.data, match["name"]):
                raise ConfigError(f"{key}: data={config.data.source} does not read it; leave it out.")
            setattr(config.data, match["name"], expand_user(value))
        else:
            _source(config, match["source"])[match["name"]] = expand_user(value)
    if problems := config.problems():
        raise ConfigError("\n".join(problems))
    return config


def _source(config: TrainConfig, name: str) -> dict[str, Any]:
    sources: dict[str, dict[str, Any]] = getattr(config.data, "sources", None) or {}
    if name not in sources:
        own = ", ".join(sources) or "data.root"
        raise ConfigError(f"data.sources.{name}: the run has no such source; expected {own}.")
    return sources[name]
