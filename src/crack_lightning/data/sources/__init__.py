"""Registry of the sources of tiles: each module here that defines ``SOURCE`` is one, by its own name."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from crack_lightning.data.model_classes import with_classes
from crack_lightning.data.sources.source import LoadContext, Source, SourceSettings
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crack_lightning.data.table import TileTable

__all__ = ["SOURCES", "LoadContext", "Source", "SourceSettings", "find_source", "load_source"]


def _sources() -> Iterator[tuple[str, Source[Any]]]:
    for module in iter_modules(__path__):
        source = getattr(import_module(f"{__name__}.{module.name}"), "SOURCE", None)
        if source is not None:
            yield module.name, source


SOURCES: Mapping[str, Source[Any]] = dict(_sources())


def find_source(name: str) -> Source[Any]:
    """Return the source of a name.

    Raises:
        ConfigError: If there is none.
    """
    if name not in SOURCES:
        raise ConfigError(f"data.source: expected one of {', '.join(SOURCES)}, got '{name}'.")
    return SOURCES[name]


def load_source(settings: SourceSettings, context: LoadContext) -> TileTable:
    """Return the tiles that settings lead to, with the classes of the context's model where it has one.

    Raises:
        ConfigError: If the source is not registered, or the settings do not lead to a folder.
        DataError: If the folder is not what the source expects.
    """
    table = find_source(settings.source).load(settings, context)
    return table if context.model is None else with_classes(table, context.model)
