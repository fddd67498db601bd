"""The configuration reference holds every key of every command and source."""

from __future__ import annotations

from crack_lightning.cli.reference import configuration_reference
from crack_lightning.config.commands import SCHEMAS
from crack_lightning.config.conf_files import option_groups
from crack_lightning.config.keys import described_keys
from crack_lightning.config.nodes.data import data_node
from crack_lightning.data.sources import SOURCES


def test_every_key_and_option_is_in_the_reference() -> None:
    text = configuration_reference()
    for schema in SCHEMAS.values():
        for key in described_keys(schema):
            assert (
                f"\n### {key.name}\n" in text if key.is_node else f"\n| `{key.name}` | {key.meaning}" in text
            )
    for source in SOURCES:
        for key in described_keys(data_node(source), prefix="data."):
            assert key.is_node or f"\n| `{key.name}` | " in text
    for group, options in option_groups("train").items():
        assert all(f"\n| `{group}={option}` | " in text for option in options)


def test_tables_are_whole_and_defaults_are_as_they_are_typed() -> None:
    lines = configuration_reference().splitlines()
    tables = [line.replace(r"\|", "") for line in lines if line.startswith("| `")]
    assert {line.count("|") for line in tables} == {3, 5}
    assert "| `trainer.threads` | Compute threads" in "\n".join(lines)
    by_key = {line.split("`")[1]: line.rpartition(" | ")[2] for line in tables if line.count("|") == 5}
    assert by_key["resume"] == "`null` |"
    assert by_key["progress"] == "`true` |"
    assert by_key["seed"] == "`0` |"
    assert by_key["model.label"] == "`''` |"
    assert by_key["runs"] == "required |"
    assert by_key["model.image_size"] == "`96` |"
