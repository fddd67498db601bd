"""The configuration reference as Markdown, from the metadata of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crack_lightning.cli.help import typed
from crack_lightning.config.commands import COMMANDS
from crack_lightning.config.conf_files import option_groups, option_purposes
from crack_lightning.config.keys import Key, described_keys
from crack_lightning.config.nodes.data import DataConfig, data_node, source_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEAD = ("| key | meaning | values | default |", "|---|---|---|---|")


def configuration_reference() -> str:
    """Return every key with its meaning, values and default, by command, source and group option."""
    lines = ["# Configuration reference", ""]
    for name, entry in COMMANDS.items():
        if entry.schema is not None:
            lines += [f"## {name}", "", f"{entry.purpose[0].upper()}{entry.purpose[1:]}.", ""]
            lines += ["```bash", f"crack-lightning {name} {entry.example}", "```", ""]
            lines += [*_sections(described_keys(entry.schema)), *_options(name)]
    lines += ["## Sources of data", "", "Each source has these keys beside those of `data`.", ""]
    for source in source_names():
        lines += [f"### data={source}", "", *_table(_own_keys(source)), ""]
    return "\n".join(lines)


def _sections(keys: Iterable[Key]) -> Iterator[str]:
    """Yield a table of each node, with its meaning above."""
    rows: list[Key] = []
    for key in keys:
        if key.is_node:
            yield from (*_table(rows), "", f"### {key.name}", "", key.meaning, "")
            rows = []
        else:
            rows.append(key)
    yield from (*_table(rows), "")


def _table(keys: Iterable[Key]) -> list[str]:
    rows = [
        f"| `{key.name}` | {_cell(key.meaning)} | {_cell(key.values)} | {_default(key)} |" for key in keys
    ]
    return [*_HEAD, *rows] if rows else []


def _options(command: str) -> Iterator[str]:
    for group in option_groups(command):
        yield from (f"### Options of {group}", "", "| option | what it is |", "|---|---|")
        yield from (f"| `{group}={name}` | {_cell(text)} |" for name, text in option_purposes(group).items())
        yield ""


def _own_keys(source: str) -> Iterator[Key]:
    shared = {key.name for key in described_keys(DataConfig, prefix="data.")}
    own_keys = described_keys(data_node(source), prefix="data.")
    return (key for key in own_keys if key.name not in shared and not key.is_node)


def _default(key: Key) -> str:
    if key.is_required:
        return "required"
    return f"`{_cell(typed(key.default))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
