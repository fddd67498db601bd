"""The text of ``--help``: every key of a command with meaning, value and permitted values."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from crack_lightning.config.commands import COMMANDS
from crack_lightning.config.conf_files import option_groups, option_purposes
from crack_lightning.config.keys import Key, described_keys
from crack_lightning.config.nodes.data import data_node
from crack_lightning.config.parse import compose_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDTH = 100
LAUNCHER = "hydra/launcher"


def command_help(name: str, overrides: Sequence[str]) -> str:
    """Return the usage of a command, the options of its groups and its keys.

    Args:
        name: The command, which has settings.
        overrides: ``key=value`` each, in Hydra's grammar; the shown values include them.
    """
    entry = COMMANDS[name]
    groups = option_groups(name)
    sweeps = "sweep" in _keys_by_name(name)
    takes = f"{entry.paths.usage} " if entry.paths else ""
    flags = f"{'[-m] ' * sweeps}[--cfg job] [--help{' [GROUP]' * bool(groups)}]"
    purpose = entry.purpose + ("; -m runs every combination of values given as key=a,b" if sweeps else "")
    rows = [
        fill(" ".join(options), WIDTH, initial_indent=f"  {group:<16}", subsequent_indent=" " * 18)
        for group, options in groups.items()
    ]
    of_groups = ["", "groups, as in group=option; --help GROUP or 'GROUP=?' says what each option is:", *rows]
    return "\n".join(
        [
            fill(
                f"usage: crack-lightning {name} {takes}[key=value …] {flags}",
                WIDTH,
                subsequent_indent=" " * 7,
            ),
            fill(purpose, WIDTH),
            f"example: crack-lightning {name} {entry.example}",
            *(of_groups if groups else []),
            "",
            "keys, with their values on this command line and (the permitted values):",
            *_key_lines(name, overrides),
        ]
    )


def topic_help(name: str, topic: str, overrides: Sequence[str]) -> str:
    """Return the options of a group, and the keys below it.

    Args:
        name: The command.
        topic: A group, or another node of its keys.
        overrides: See :func:`command_help`.
    """
    options = option_purposes(topic)
    heading = [options_help(topic)] if options else []
    return "\n".join([*heading, *_key_lines(name, overrides, below=topic)]).strip()


def options_help(group: str) -> str:
    """Return the options of a group, a line each."""
    purposes = option_purposes(group)
    width = max(map(len, purposes)) + 2
    rows = [
        fill(text, WIDTH, initial_indent=f"  {option:<{width}}", subsequent_indent=" " * (width + 2))
        for option, text in purposes.items()
    ]
    return "\n".join([f"options of {group}, as in {group}={next(iter(purposes))}:", *rows])


def help_topics(name: str) -> list[str]:
    """Return the groups and nodes of a command that ``--help`` takes."""
    launcher = [LAUNCHER] if "sweep" in _keys_by_name(name) else []
    nodes = [key.name for key in _keys_by_name(name).values() if key.is_node]
    return list(dict.fromkeys([*option_groups(name), *launcher, *nodes]))


def _keys_by_name(name: str, values: Any = None) -> dict[str, Key]:
    """Return a command's keys by name; below ``data``, those of the composed source."""
    schema = COMMANDS[name].schema
    assert schema is not None, name
    data = (values or {}).get("data")
    nodes = {"data": data_node(str(data["source"]), data.get("base"))} if data else {}
    return {key.name: key for key in described_keys(schema, nodes=nodes)}


def _key_lines(name: str, overrides: Sequence[str], *, below: str = "") -> Iterator[str]:
    """Yield the lines of a command's keys, or of those of one node."""
    values = OmegaConf.to_container(compose_config(name, overrides), resolve=False)
    for key in _keys_by_name(name, values).values():
        if not f"{key.name}.".startswith(f"{below}." if below else ""):
            continue
        if key.is_node:
            yield from ("", fill(f"{key.name}: {_plain(key.meaning)}", WIDTH))
        else:
            yield from _lines_of(key, _value(values, key))


def _lines_of(key: Key, value: Any) -> Iterator[str]:
    shown = "…" if key.is_required and value == key.default else typed(value)
    required = "required; " * key.is_required
    head = f"  {key.name}={shown}" if not isinstance(value, dict) else f"  {key.name}:"
    values = f"({required}{_plain(key.values)})"
    if len(head) + 2 + len(values) <= WIDTH:
        yield f"{head}  {values}"
    else:
        yield head
        yield _indented(values)
    yield _indented(_plain(key.meaning))
    if isinstance(value, dict):
        yield from (f"      {key.name}.{name}={typed(item)}" for name, item in _flat(value))


def _value(values: Any, key: Key) -> Any:
    for part in key.name.split("."):
        if not isinstance(values, dict) or part not in values:
            return key.default
        values = values[part]
    return values


def typed(value: Any) -> str:
    """Return a value as it is typed on the command line."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list():
            return f"[{','.join(map(typed, value))}]"
        case "":
            return "''"
    return str(value)


def _flat(value: dict[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, dict) and item:
            yield from _flat(item, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", item


def _indented(text: str) -> str:
    return fill(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _plain(text: str) -> str:
    return text.replace("`", "")
