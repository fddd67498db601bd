"""Configuration of a resumed run: that of its folder, with the few permitted changes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import yaml  # type: ignore[import-untyped]
from omegaconf import DictConfig
from omegaconf._utils import get_yaml_loader
from omegaconf.errors import OmegaConfBaseException

from crack_lightning.config.commands import PredictConfig
from crack_lightning.config.literals import all_escaped
from crack_lightning.config.moved_data import with_moved_data
from crack_lightning.config.nodes.train import TrainConfig
from crack_lightning.config.own_code import names_code, require_repeated
from crack_lightning.config.parse import parse
from crack_lightning.config.renamed_keys import with_new_names
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.files.untrusted_files import read_text, require_plain_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

T = TypeVar("T", TrainConfig, PredictConfig)
_MAY_CHANGE = ("trainer.max_epochs", "trainer.log_every", "progress", "resume")
_NODES = {"train": ("data", "model", "optimizer", "recipe", "trainer"), "predict": ("source", "trainer")}
"""Nodes that the configuration of a command has in every version."""
_RESOLVED = re.compile(r"\$\{[^{}]*:")
"""Resolver calls, which could read secrets; other text is literal."""
_MAX_CONFIG_BYTES, _MAX_DEPTH = 2**18, 30


def resumed_config(
    folder: Path, *, current: TrainConfig, overrides: Sequence[str], moved: Mapping[str, str] | None = None
) -> TrainConfig:
    """Read the configuration of a run to resume.

    The folder is untrusted: its configuration is data, and code that it names is run only if the command line
    names it too.

    Args:
        folder: The run's folder.
        current: The configuration of the command line.
        overrides: What the user typed, ``key=value`` each.
        moved: Paths of its data, from :func:`~crack_lightning.config.moved_data.take_moved_data`.

    Returns:
        The run's configuration, with the permitted changes.

    Raises:
        ConfigError: If the folder holds no run, names code of its own, or a change is not permitted.
        DataError: If links in the folder lead out of it.
    """
    config = _read_config(folder, TrainConfig, command="train")
    keys = [override.lstrip("+~").partition("=")[0] for override in overrides if not names_code(override)]
    moved = moved or {}
    may_change = {*_MAY_CHANGE, *moved} | ({"data"} if "data.source" in moved else set())
    if refused := [key for key in keys if key not in may_change]:
        raise ConfigError(
            f"{refused[0]}: a resumed run keeps its settings; only {', '.join(_MAY_CHANGE[:-1])}, and paths "
            "of its data, as in data.root, may change. Leave it out, or start a new run."
        )
    require_repeated(config, current, folder=folder, overrides=overrides)
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
    config.progress = current.progress
    return config


def resumed_prediction(folder: Path, *, progress: bool, overrides: Sequence[str]) -> PredictConfig:
    """Read the configuration of a prediction to resume, from an untrusted folder.

    Args:
        folder: The prediction's folder.
        progress: Whether to show bars, which may change.
        overrides: What the user typed, ``key=value`` each.

    Raises:
        ConfigError: If the folder holds no prediction, or a change is not permitted.
        DataError: If links in the folder lead out of it.
    """
    config = _read_config(folder, PredictConfig, command="predict")
    keys = [override.lstrip("+~").partition("=")[0] for override in overrides]
    if refused := [key for key in keys if key not in ("progress", "resume")]:
        raise ConfigError(
            f"{refused[0]}: a resumed run keeps its settings; only progress may change. "
            "Leave it out, or start a new run."
        )
    config.progress, config.resume = progress, str(folder)
    return config


def _read_config(folder: Path, schema: type[T], *, command: str) -> T:
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
            f"resume: '{path}' is of no run of {command} here ({error}); give one's folder."
        ) from None
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError, OmegaConfBaseException) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ConfigError(f"resume: '{path}' cannot be read ({reason}); give another folder.") from None


def _read_settings(path: Path, *, nodes: Sequence[str]) -> DictConfig:
    """Read a configuration as plain data, without YAML aliases (decompression bombs) and resolver calls.

    Raises:
        ConfigError: If it is not the configuration of a run.
    """
    text = read_text(path, at_most=_MAX_CONFIG_BYTES)
    _require_flat(text)
    plain = yaml.load(text, Loader=get_yaml_loader())  # noqa: S506  # OmegaConf's own, made of the safe one
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
