"""Reading of the configuration in a run folder that is not trusted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import yaml  # type: ignore[import-untyped]
from omegaconf import DictConfig
from omegaconf._utils import get_yaml_loader
from omegaconf.errors import OmegaConfBaseException

from crack_lightning.config.commands import PredictConfig, ShardsConfig
from crack_lightning.config.literals import all_escaped
from crack_lightning.config.nodes.train import TrainConfig
from crack_lightning.config.parse import parse
from crack_lightning.config.renamed_keys import with_new_names
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.files.untrusted_files import read_text, require_plain_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

T = TypeVar("T", TrainConfig, PredictConfig, ShardsConfig)
_NODES = {
    "train": ("data", "model", "optimizer", "recipe", "trainer"),
    "predict": ("source", "trainer"),
    "shards": ("data", "trainer"),
}
"""Nodes that the configuration of a command has in every version."""
_RESOLVED = re.compile(r"\$\{[^{}]*:")
"""Resolver calls, which could read secrets; other text is literal."""
_MAX_CONFIG_BYTES, _MAX_DEPTH = 2**18, 30


def read_untrusted_config(folder: Path, schema: type[T], *, command: str) -> T:
    """Read the ``config.yaml`` of a run folder as plain data.

    Raises:
        ConfigError: If the folder holds no configuration of the command.
        DataError: If links in the folder lead out of it.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise ConfigError(
            f"resume: there is no run in '{folder}' (no config.yaml); give the folder of a run."
        )
    require_plain_folder(folder, key="resume")
    try:
        return parse(_read_settings(path, nodes=_NODES[command]), schema)
    except ConfigError as error:
        raise ConfigError(
            f"resume: '{path}' is no configuration of {command} ({error}); give the folder of a run."
        ) from None
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError, OmegaConfBaseException) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ConfigError(f"resume: '{path}' cannot be read ({reason}); give another folder.") from None


def _read_settings(path: Path, *, nodes: Sequence[str]) -> DictConfig:
    """Read a configuration as plain data, without YAML aliases, which can expand without bound.

    Raises:
        ConfigError: If it is not the configuration of a run.
    """
    text = read_text(path, at_most=_MAX_CONFIG_BYTES)
    _require_flat(text)
    plain = yaml.load(text, Loader=get_yaml_loader())  # noqa: S506  # a subclass of SafeLoader
    plain = {} if plain is None or isinstance(plain, str) else plain
    if not isinstance(plain, dict):
        raise ConfigError(f"expected keys and values, got a {type(plain).__name__}")
    if lacking := [name for name in nodes if not isinstance(plain.get(name), dict | list) or not plain[name]]:
        raise ConfigError(f"it has no settings of {', '.join(lacking)}")
    if reference := next(filter(_RESOLVED.search, _texts(plain)), None):
        raise ConfigError(f"references are not followed, got {reference[:80]!r}")
    return DictConfig(all_escaped(with_new_names(plain)))


def _require_flat(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError("aliases (*name) are not followed")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise ConfigError(f"it is nested more than {_MAX_DEPTH} deep")


def _texts(value: Any) -> Iterator[str]:
    """Yield every text within nested values."""
    match value:
        case str():
            yield value
        case dict():
            for name, item in value.items():
                yield from _texts(name)
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)
