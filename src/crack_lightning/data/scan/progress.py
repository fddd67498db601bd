"""Progress bars on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")


def progress_bar(items: Iterable[T], title: str | None, *, total: int) -> Iterator[T]:
    """Wrap an iterable in a progress bar of ``total`` items with a title; ``None`` shows none."""
    if title is None:
        return iter(items)
    return iter(track(items, title, total=total, console=Console(stderr=True), transient=True))
