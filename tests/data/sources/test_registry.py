"""A source is one module with everything that a run needs of it, or refused by name."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from crack_lightning.config import conf_dir
from crack_lightning.config.nodes.data import DataConfig, data_node
from crack_lightning.data.sources import SOURCES, LoadContext, SourceSettings, find_source, load_source
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["sdnet", "SDNET2018", "source", ""])
def test_a_source_that_is_not_registered_is_refused_and_not_read_as_another(
    name: str, tmp_path: Path
) -> None:
    said = rf"data\.source: expected one of image_folder, .*, got '{name}'"
    context = LoadContext(cache=tmp_path, num_workers=0, show_progress=False)
    with pytest.raises(ConfigError, match=said):
        find_source(name)
    with pytest.raises(ConfigError, match=said):
        load_source(SourceSettings(source=name), context)
    with pytest.raises(ConfigError, match=said):
        data_node(name)


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_has_its_own_keys_an_option_file_and_its_name(name: str) -> None:
    source = SOURCES[name]
    assert source.settings().source == name
    assert (conf_dir() / "data" / f"{name}.yaml").is_file()
    assert {item.name for item in fields(data_node(name))} == {
        *source.keys,
        *(item.name for item in fields(DataConfig)),
    }
    assert source.provides <= {"photos", "masks", "widths"}


@pytest.mark.parametrize("name", SOURCES)
def test_every_key_of_a_source_says_what_it_means(name: str) -> None:
    items = [item for item in fields(SOURCES[name].settings) if item.name != "source"]
    assert all(item.metadata["setting"].meaning.endswith(".") for item in items)
