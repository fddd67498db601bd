"""What a source of tiles consists of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from crack_lightning.runtime.settings import check_settings, setting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from crack_lightning.data.model_classes import ModelClasses
    from crack_lightning.data.table import TileTable


@dataclass
class SourceSettings:
    """The keys below ``data`` that one source reads; a subclass for each."""

    source: str = setting("", "What reads or draws the tiles.")
    prefix: ClassVar[str] = "data"
    mix = "natural"  # a source alone has nothing to mix

    def __post_init__(self) -> None:
        check_settings(self, self.prefix)

    @property
    def kind(self) -> str:
        """The source that reads files or draws: of painted tiles the one below."""
        return self.source

    def problems(self) -> list[str]:
        """List the settings that contradict one another."""
        return []

    def width_problem(self) -> str | None:
        """Return why the tiles have no crack width, where that depends on the settings."""
        return None

    def sides(self) -> dict[str, Sequence[str]]:
        """Return the names of the sources that train and that test; empty where all do both."""
        return {"train_sources": (), "test_sources": ()}


@dataclass(frozen=True, kw_only=True)
class LoadContext:
    """What loading takes beside a source's own settings.

    Attributes:
        cache: The cache folder.
        num_workers: Processes that draw; 0 draws in this one.
        show_progress: Whether to show bars.
        model: The classes of the model that is to be tested; tiles of one class are then enough.
    """

    cache: Path
    num_workers: int
    show_progress: bool
    model: ModelClasses | None = None

    @property
    def known_classes(self) -> Sequence[str]:
        """The classes of the model, none where there is no model."""
        return () if self.model is None else self.model.class_names


S = TypeVar("S", bound=SourceSettings)


@dataclass(frozen=True, kw_only=True)
class Source(Generic[S]):
    """One value of ``data.source``.

    Attributes:
        settings: The keys that it reads.
        preflight: Raises where the settings lead to no files; reads no picture.
        load: Returns the tiles as they lie there.
        finish: Returns the tiles made of those that can be read, once they are grouped.
        in_background: Begins to load while a block runs.
        provides: Which of ``photos``, ``masks`` and ``widths`` the tiles come with.
        is_drawn: Whether tiles are drawn, so that no two photos are alike.
        is_derived: Whether its tiles are those of other sources.
    """

    settings: type[S]
    preflight: Callable[[S], None]
    load: Callable[[S, LoadContext], TileTable]
    finish: Callable[[S, TileTable, LoadContext], TileTable] | None = None
    in_background: Callable[[S, LoadContext], AbstractContextManager[None]] | None = None
    provides: frozenset[str] = frozenset()
    is_drawn: bool = False
    is_derived: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the settings, without ``source``."""
        return tuple(item.name for item in fields(self.settings) if item.name != "source")

    def pick(self, node: Any) -> S:
        """Return the settings of this source alone, out of a node that has them among others."""
        return self.settings(**{key: getattr(node, key) for key in self.keys if hasattr(node, key)})
