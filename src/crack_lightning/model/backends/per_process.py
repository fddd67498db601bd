"""State that each process builds for itself, so that its owner survives fork and pickle."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value with threads or memory of its own, built on its first use in each process.

    Threads do not survive a fork, and neither they nor compiled networks can be pickled: a forked or
    unpickled copy builds its own.

    Args:
        build: Returns the value; a partial of a module's function, so that it can be pickled.
    """

    def __init__(self, build: Callable[[], T]) -> None:
        self._build = build
        self._values: dict[int, T] = {}

    def get(self) -> T:
        """Return this process's value; no lock is taken, which a fork could leave locked for ever."""
        process = os.getpid()
        if process not in self._values:
            self._values.setdefault(process, self._build())
        return self._values[process]

    def __getstate__(self) -> dict[str, object]:
        return {"_build": self._build, "_values": {}}
