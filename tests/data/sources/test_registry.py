"""A source is registered whole, or refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from crack_lightning.config.nodes import data as config
from crack_lightning.data import sources
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def settings(root: Path) -> dict[str, Any]:
    names = ("seed", "archive", "class_names", "positive_class", "group_pattern", "drawn", "masked")
    others = dict.fromkeys((*names, "num_workers", "cache", "show_progress"))
    return others | {"root": root, "download": False}


@pytest.mark.parametrize("name", ["sdnet", "SDNET2018", "mixed", "painted", ""])
def test_a_source_that_is_not_registered_is_refused_and_not_read_as_another(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "D" / "CD").mkdir(parents=True)
    (tmp_path / "D" / "UD").mkdir()
    for folder in ("CD", "UD"):
        (tmp_path / "D" / folder / "7001-1.jpg").write_bytes(b"no picture is read here")
    said = rf"data\.source: expected a registered source \(synthetic, .*\), got '{name}'"
    with pytest.raises(ConfigError, match=said):
        sources.require_files(name, root=tmp_path, archive=None, download=False)
    with pytest.raises(ConfigError, match=said):
        sources.load_source(name, **settings(tmp_path))


def test_a_source_that_the_configuration_alone_knows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "SOURCES", (*config.SOURCES, "bridges"))
    kind = config.DataConfig(source="bridges", root=str(tmp_path)).kind
    with pytest.raises(ConfigError, match="got 'bridges'; register it"):
        sources.require_files(kind, root=tmp_path, archive=None, download=False)


def test_every_configured_source_that_has_files_or_draws_is_registered() -> None:
    assert {*sources.SOURCES, "mixed", "painted"} == {*config.SOURCES}
