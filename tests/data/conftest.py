"""What tests of files share: a user who may not read everything, and a website of this machine's own."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from crack_lightning.data.downloads import http
from tests.data.websites import Behaviour, handler_of, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


@pytest.fixture
def unprivileged() -> Callable[[], AbstractContextManager[None]]:
    """Act as nobody while a block runs, where the tests run as root, who can read every file."""
    if not hasattr(os, "geteuid"):
        pytest.skip("this system has no file modes")
    return _unprivileged


@contextmanager
def _unprivileged() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Behaviour]:
    """Serve one file as the test wants it; a fetch does not pause between its tries."""
    monkeypatch.setattr(http, "_PAUSES_S", (0.0, 0.0, 0.0))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    behaviour = Behaviour()
    with serving(handler_of(behaviour)) as address:
        behaviour.url = f"{address}/tiles.zip"
        yield behaviour
