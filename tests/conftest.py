"""What all tests share: an empty cache, few threads, a small drawn set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crack_lightning.hardware import share_cores

if TYPE_CHECKING:
    from collections.abc import Iterator

share_cores()
REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _empty_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRACK_LIGHTNING_CACHE", str(folder))
        patch.delenv("HYDRA_FULL_ERROR", raising=False)
        yield


@pytest.fixture
def metu() -> Path:
    folder = REAL_DATA / "metu"
    if not folder.is_dir():
        pytest.skip("the METU tiles are not beside the project")
    return folder


@pytest.fixture
def environment() -> dict[str, str]:
    """What a command of its own process sees."""
    return {**os.environ, "COLUMNS": "200", "PYTHONWARNINGS": "default"}
