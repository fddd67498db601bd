"""Conversion of composed configurations to checked dataclasses."""

from __future__ import annotations

from dataclasses import asdict, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from crack_lightning.config.commands import SCHEMAS
from crack_lightning.config.conf_files import conf_dir
from crack_lightning.config.error_messages import explain_error
from crack_lightning.config.literals import all_escaped
from crack_lightning.config.nodes.data import DataConfig, data_node, split_unread
from crack_lightning.config.nodes.train import TrainConfig
from crack_lightning.config.text_keys import expand_paths
from crack_lightning.data.sources import SOURCES
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.files.atomic_write import write_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_STRUCTURED: dict[tuple[type[Any], type[DataConfig] | None], DictConfig] = {}


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


@cache  # building the nodes takes as long as composing them
def register_schemas(command: str) -> None:
    """Register a command's schema in Hydra as ``<command>_schema``, each source's as ``data/_<source>``.

    The keys of ``data`` depend on the source: Hydra accepts any below it, and :func:`parse` checks them.
    """
    from hydra.core.config_store import ConfigStore

    store, schema = ConfigStore.instance(), SCHEMAS[command]
    has_data = _has_data(schema)
    node = _node(schema, DataConfig if has_data else None).copy()
    if has_data:
        OmegaConf.set_struct(node.data, value=False)
        for source in SOURCES:
            store.store(group="data", name=f"_{source}", node=data_node(source))
    store.store(name=f"{command}_schema", node=node)


def compose_config(command: str, overrides: Sequence[str] = ()) -> DictConfig:
    """Compose the configuration of a command from the option files, as its command line does.

    Args:
        command: The command.
        overrides: ``key=value`` each, in Hydra's grammar.
    """
    from hydra import compose, initialize_config_dir

    register_schemas(command)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose(command, list(overrides))


def parse(composed: DictConfig, schema: type[T]) -> T:
    """Convert a composed configuration to its dataclass, and check every value.

    Args:
        composed: Configuration that Hydra composed, or a run's ``config.yaml``.
        schema: The command's dataclass.

    Returns:
        The dataclass with every node built and checked.

    Raises:
        ConfigError: With every problem found.
    """
    try:
        plain = expand_paths(OmegaConf.to_container(composed, resolve=True))
        data, unread = _data_node(plain, schema)
        merged = OmegaConf.merge(_node(schema, data), all_escaped(plain))
        config = cast("T", OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise ConfigError(explain_error(error, schema=schema)) from error
    if problems := [*unread, *config.problems()]:
        raise ConfigError("\n".join(problems))
    return config


def _data_node(plain: dict[str, Any], schema: type[Any]) -> tuple[type[DataConfig] | None, list[str]]:
    """Return the class of ``data`` and problems with keys of other sources, which are removed."""
    settings = plain.get("data")
    if not isinstance(settings, dict) or not _has_data(schema):
        return None, []
    settings |= {"source": settings.get("source") or "synthetic"}  # of an option file without one
    node = data_node(str(settings["source"]), settings.get("base"))
    plain["data"], unread = split_unread(settings, node)
    return node, unread


def _has_data(schema: type[Any]) -> bool:
    return "data" in (item.name for item in fields(schema))


def _node(schema: type[Any], data: type[DataConfig] | None = None) -> DictConfig:
    """Return the cached OmegaConf node of a schema, for the many configurations of a sweep."""
    if (schema, data) not in _STRUCTURED:
        node = OmegaConf.structured(schema)
        if data is not None:
            node.data = OmegaConf.structured(data)
        _STRUCTURED[schema, data] = node
    return _STRUCTURED[schema, data]


def write_config(config: object, path: Path) -> None:
    """Write the dataclass of a command as YAML, with every value resolved."""
    settings = OmegaConf.create(all_escaped(asdict(cast("Any", config))))
    write_text(path, OmegaConf.to_yaml(settings, resolve=True))
