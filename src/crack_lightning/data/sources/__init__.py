"""Registry of data sources: every module of this package that defines ``SOURCE``, by module name."""

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
    """Return a registered source by its name.

    Raises:
        ConfigError: If there is no source of that name.
    """
    if name not in SOURCES:
        raise ConfigError(f"data.source: expected one of {', '.join(SOURCES)}, got '{name}'.")
    return SOURCES[name]


def load_source(settings: SourceSettings, context: LoadContext) -> TileTable:
    """Load the tiles of a source, relabelled to the classes of ``context.model`` where it is set.

    Raises:
        ConfigError: If the source is not registered, or no folder is set.
        DataError: If the folder does not have the layout that the source expects.
    """
    table = find_source(settings.source).load(settings, context)
    return table if context.model is None else with_classes(table, context.model)
