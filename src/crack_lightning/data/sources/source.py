"""Interface of a data source: settings, preflight and loading."""

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

    source: str = setting("", "Data source.")
    prefix: ClassVar[str] = "data"
    mix = "natural"  # a source alone has nothing to mix

    def __post_init__(self) -> None:
        check_settings(self, self.prefix)

    @property
    def kind(self) -> str:
        """Name of the source of the photos: for painted tiles the source that is painted on."""
        return self.source

    def problems(self) -> list[str]:
        """List the settings that contradict one another."""
        return []

    def width_problem(self) -> str | None:
        """Return why crack widths are unknown with these settings; ``None`` if they are known."""
        return None

    def split_sources(self) -> dict[str, Sequence[str]]:
        """Return the names of the sources for training and for testing; empty where each is for both."""
        return {"train_sources": (), "test_sources": ()}


@dataclass(frozen=True, kw_only=True)
class LoadContext:
    """Arguments of loading that are no settings of the source.

    Attributes:
        cache: The cache folder.
        num_workers: Processes that render tiles; 0 for the current one.
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
    """A data source, one value of ``data.source``.

    Attributes:
        settings: Dataclass of its keys.
        preflight: Raises if files are missing; reads no image.
        load: Returns the tile table.
        finish: Derives the final tiles from the readable tiles with their groups.
        in_background: Context manager that loads while its block runs.
        provides: Which of ``photos``, ``masks`` and ``widths`` come with the tiles.
        is_drawn: Whether tiles are synthetic, so that photos have no near-duplicates.
        is_derived: Whether its tiles are those of other sources.
        is_prepared: Whether digests, image statistics and groups come with the tiles, so no file is read.
    """

    settings: type[S]
    preflight: Callable[[S], None]
    load: Callable[[S, LoadContext], TileTable]
    finish: Callable[[S, TileTable, LoadContext], TileTable] | None = None
    in_background: Callable[[S, LoadContext], AbstractContextManager[None]] | None = None
    provides: frozenset[str] = frozenset()
    is_drawn: bool = False
    is_derived: bool = False
    is_prepared: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the settings, without ``source``."""
        return tuple(item.name for item in fields(self.settings) if item.name != "source")

    def pick(self, node: Any) -> S:
        """Extract this source's settings from a node that has further keys."""
        return self.settings(**{key: getattr(node, key) for key in self.keys if hasattr(node, key)})
