"""Source ``mixed``: several sources together, each for training, testing or both."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from crack_lightning.data.sources.painted import PaintedSettings, paint_on
from crack_lightning.data.sources.source import LoadContext, Source, SourceSettings
from crack_lightning.runtime.errors import ConfigError, DataError
from crack_lightning.runtime.settings import setting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crack_lightning.data.table import TileTable


@dataclass
class MixedSettings(SourceSettings):
    """The keys of ``data=mixed``."""

    source: str = "mixed"
    sources: Any = setting(
        None, "Sources by name, each with the keys that `data` has for it alone (`source`, `root`, …)."
    )
    mix: str = setting(
        "natural",
        "`natural` trains on every tile once an epoch, `equal` on as many draws from every source.",
        choices=("natural", "equal"),
    )
    train_sources: list[str] = setting([], "Names of the sources for training and validation; empty for all.")
    test_sources: list[str] = setting(
        [],
        "Names of the sources for testing; empty for all. All tiles of a source that is in this list alone "
        "are test tiles.",
    )

    def parts(self) -> Mapping[str, SourceSettings]:
        """Return the settings of each source by its name.

        Raises:
            ConfigError: If one has a key that its source lacks, or a wrong value.
        """
        raise NotImplementedError("the node in crack_lightning.config parses the settings of each source")

    def split_sources(self) -> dict[str, Sequence[str]]:
        """Return the names of the sources for training and for testing."""
        return {"train_sources": self.train_sources, "test_sources": self.test_sources}

    def problems(self) -> list[str]:
        """List problems of the sources, each with its key."""
        if not self.sources:
            return [
                "data.sources: data=mixed needs some; set 'data.sources={a: {source: metu, root: tiles}, …}'."
            ]
        parts = self.parts()
        real = [name for name, part in parts.items() if not isinstance(part, PaintedSettings)]
        if not real:
            return ["data.sources: painted tiles need another source that they are painted on; add it."]
        return [
            *(prefix_keys(name, problem) for name in real for problem in parts[name].problems()),
            *(
                f"data.sources.{name}.base: expected one of {', '.join(real)} to paint on, got {part.kind!r}."
                for name, part in parts.items()
                if isinstance(part, PaintedSettings) and part.kind not in real
            ),
            *(
                f"data.{key}: expected some of {', '.join(parts)}, got '{name}'."
                for key, names in self.split_sources().items()
                for name in names
                if name not in parts
            ),
        ]


def prefix_keys(name: str, sentence: str) -> str:
    """Prefix the keys in an error message of one source with ``data.sources.<name>``."""
    from crack_lightning.data.sources import SOURCES

    keys = {"source", *(key for source in SOURCES.values() for key in source.keys)}
    return re.sub(rf"\bdata\.(?=({'|'.join(keys)})\b)", f"data.sources.{name}.", sentence)


@contextmanager
def prefix_source_keys(name: str) -> Iterator[None]:
    """Prefix the keys in errors that the block raises with ``data.sources.<name>``."""
    try:
        yield
    except (ConfigError, DataError) as error:
        raise type(error)(prefix_keys(name, str(error))) from error


def _preflight(settings: MixedSettings) -> None:
    from crack_lightning.data.sources import find_source

    for name, part in settings.parts().items():
        if not isinstance(part, PaintedSettings):  # painted tiles have no files of their own
            with prefix_source_keys(name):
                find_source(part.source).preflight(part)


def _load(settings: MixedSettings, context: LoadContext) -> TileTable:
    from crack_lightning.data.concat import merge
    from crack_lightning.data.sources import load_source

    tables = {}
    for name, part in settings.parts().items():
        if not isinstance(part, PaintedSettings):
            with prefix_source_keys(name):
                tables[name] = load_source(part, context)
    return merge(tables)


def _finish(settings: MixedSettings, table: TileTable, context: LoadContext) -> TileTable:
    """Add the painted tiles to those that they are painted on."""
    import numpy as np

    from crack_lightning.data.concat import concat

    layers = {
        name: (part, cast("Any", table.source == part.base))
        for name, part in settings.parts().items()
        if isinstance(part, PaintedSettings)
    }
    if not layers:
        return table
    table, painted = paint_on(table, layers, context)
    named = [
        replace(tiles, extra=tiles.extra | {"name": np.char.add(f"{name}:", tiles.path)})
        for name, tiles in zip(layers, painted, strict=True)
    ]
    return concat([table, *named])


SOURCE = Source(settings=MixedSettings, preflight=_preflight, load=_load, finish=_finish, is_derived=True)
