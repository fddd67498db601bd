"""Elements of a report, to be rendered as Markdown or HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence


class Code(str):
    """A name or a command, to be rendered as code."""

    __slots__ = ()


@dataclass(frozen=True)
class Table:
    """Rows of cells under a head.

    Attributes:
        head: Column names.
        rows: One cell per column in each row.
        alignment: ``l`` or ``r`` for each column.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    alignment: str


@dataclass(frozen=True)
class Pictures:
    """Figures by file name; figures that were not drawn are skipped."""

    names: Sequence[str]


class ShownTile(NamedTuple):
    """A tile in a gallery: path relative to the root of the data set, true class and caption.

    If ``explained``, its evidence map is shown beside it.
    """

    path: str
    label: str
    caption: str
    explained: bool = False


@dataclass(frozen=True)
class Gallery:
    """Tiles with captions, in HTML only; ``folded`` galleries open on a click."""

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
    """Links to files beside the report, by name."""

    to: Sequence[tuple[str, str]]


Block: TypeAlias = str | Table | Pictures | Gallery | Listing | Links


@dataclass(frozen=True)
class Section:
    """A heading with its contents.

    Attributes:
        title: The heading.
        blocks: The contents; a section without any is not shown.
        how_to_read: A sentence on how to read the section.
    """

    title: str
    blocks: Sequence[Block]
    how_to_read: str = ""
