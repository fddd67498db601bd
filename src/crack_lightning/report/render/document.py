"""What a report consists of, before it becomes Markdown or HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence


class Code(str):
    """A name or a command, to be written as it is."""

    __slots__ = ()


@dataclass(frozen=True)
class Table:
    """Rows of cells under a head.

    Attributes:
        head: A name a column.
        rows: Cells, as many in each row.
        alignment: ``l`` or ``r`` for each column.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    alignment: str


@dataclass(frozen=True)
class Pictures:
    """Figures by file name; those that were not drawn are passed over."""

    names: Sequence[str]


class ShownTile(NamedTuple):
    """A tile in a gallery: its path below the set's root, its true class, and what is to be said of it.

    One that is ``explained`` has its map of evidence beside it.
    """

    path: str
    label: str
    caption: str
    explained: bool = False


@dataclass(frozen=True)
class Gallery:
    """Tiles to look at; only a page shows them, folded away if asked."""

    title: str
    tiles: Sequence[ShownTile]
    folded: bool = False


@dataclass(frozen=True)
class Listing:
    """Lines in one column, such as settings."""

    title: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Links:
    """Files beside the report, by what they are."""

    to: Sequence[tuple[str, str]]


Block: TypeAlias = str | Table | Pictures | Gallery | Listing | Links


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]
