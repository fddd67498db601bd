"""From what Hydra composed to checked dataclasses."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from crack_lightning.config.commands import SCHEMAS
from crack_lightning.config.error_messages import explain_error
from crack_lightning.config.literals import all_escaped
from crack_lightning.config.nodes.train import TrainConfig
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.files.paths import expand_paths
from crack_lightning.runtime.files.run_folder import write_text

if TYPE_CHECKING:
    from pathlib import Path


class _Checked(Protocol):
    def problems(self) -> list[str]: ...


T = TypeVar("T", bound=_Checked)


def plugin_names(composed: DictConfig) -> list[str]:
    """Return ``plugins`` alone, to be imported before anything else is read.

    Raises:
        ConfigError: If it is no list of texts.
    """
    try:
        plain = OmegaConf.to_container(OmegaConf.create({"plugins": composed.plugins}), resolve=True)
        return cast("TrainConfig", OmegaConf.merge(_node(TrainConfig), plain)).plugins
    except OmegaConfBaseException as error:
        raise ConfigError(explain_error(error, schema=TrainConfig)) from error


def register_schemas() -> None:
    """Make each command's schema known to Hydra as ``<command>_schema``."""
    store = ConfigStore.instance()
    for command, schema in SCHEMAS.items():
        store.store(name=f"{command}_schema", node=schema)


def parse(composed: DictConfig, schema: type[T]) -> T:
    """Check a composed configuration against its schema, once more from plain values.

    Args:
        composed: What Hydra composed, or a run's ``config.yaml``.
        schema: The command's dataclass.

    Returns:
        The dataclass with every node built and checked.

    Raises:
        ConfigError: With every problem found.
    """
    try:
        plain = expand_paths(OmegaConf.to_container(composed, resolve=True))
        merged = OmegaConf.merge(_node(schema), all_escaped(plain))
        config = cast("T", OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise ConfigError(explain_error(error, schema=schema)) from error
    if problems := config.problems():
        raise ConfigError("\n".join(problems))
    return config


@cache
def _node(schema: type[Any]) -> DictConfig:
    """Return a schema as a node, which merging copies; a sweep checks many configurations against one."""
    return cast("DictConfig", OmegaConf.structured(schema))


def write_config(config: object, path: Path) -> None:
    """Write a command's dataclass, with every value resolved, as YAML."""
    settings = OmegaConf.create(all_escaped(asdict(cast("Any", config))))
    write_text(path, OmegaConf.to_yaml(settings, resolve=True))
