"""Requests to stop a run, by SIGINT and SIGTERM."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Protocol

from crack_lightning.runtime.errors import Interrupted

if TYPE_CHECKING:
    from types import FrameType
    from typing import Self


class StopRequest(Protocol):
    """A request to stop a run."""

    deferred: bool

    @property
    def received(self) -> int | None:
        """The signal's number, or ``None``."""

    def listen(self) -> None:
        """Replace Lightning's signal handlers."""


class StopSignals:
    """Turns SIGINT and SIGTERM into :class:`Interrupted`: after the running step during training.

    Attributes:
        received: The signal's number, or ``None``.
        deferred: Whether a first signal waits for the end of a step; a second never waits.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.deferred = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self.listen()
        return self

    def listen(self) -> None:
        """Install the handlers, also in place of Lightning's, with which SIGTERM ends with exit code 0."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous.setdefault(number, signal.getsignal(number))
                signal.signal(number, self._receive)

    def __exit__(self, *exception: object) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if not self.deferred or self.received is not None:
            raise Interrupted(number)
        self.received = number
