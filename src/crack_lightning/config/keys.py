"""Keys of the configuration with meaning, permitted values and default, for ``--help`` and the reference."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from omegaconf import MISSING

from crack_lightning.runtime.settings import Setting, default_of, setting_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_KINDS = {bool: "true or false", int: "whole number", float: "number", str: "text", dict: "keys and values"}


@dataclass(frozen=True)
class Key:
    """A key of a schema.

    Attributes:
        name: The full key, such as ``model.image_size``.
        meaning: What it means, keys and values in backticks.
        values: The permitted values in words.
        default: The dataclass's default; ``???`` for a required key.
        is_node: Whether it holds other keys.
    """

    name: str
    meaning: str
    values: str
    default: Any
    is_node: bool

    @property
    def is_required(self) -> bool:
        """Whether it has no default."""
        return isinstance(self.default, str) and self.default == MISSING


def described_keys(
    schema: type[Any],
    *,
    nodes: Mapping[str, type[Any]] | None = None,
    prefix: str = "",
    unread: Collection[str] = (),
) -> Iterator[Key]:
    """Yield the keys of a schema that its command reads, each node before its keys.

    Args:
        schema: A dataclass.
        nodes: Dataclasses by full key that replace those of the schema, such as the source's for ``data``.
        prefix: Prefix of each key, with its dot.
        unread: Names below ``schema`` to leave out.
    """
    hints = get_type_hints(schema)
    leaves = [item for item in fields(schema) if not is_dataclass(hints[item.name])]
    inner = [item for item in fields(schema) if is_dataclass(hints[item.name])]
    for item in (*leaves, *inner):
        entry = setting_of(item) or Setting("")
        name, is_node = prefix + item.name, item in inner
        if item.name in unread:
            continue
        values = "" if is_node else permitted_values(hints[item.name], entry)
        key = Key(name, entry.meaning, values, None if is_node else default_of(item), is_node)
        if not is_node:
            yield key
            continue
        node = (nodes or {}).get(name, hints[item.name])
        below = [part.removeprefix(f"{item.name}.") for part in unread if part.startswith(f"{item.name}.")]
        unread_below = (*entry.unread, *below)
        if nested := list(described_keys(node, nodes=nodes, prefix=f"{name}.", unread=unread_below)):
            yield key
            yield from nested


def permitted_values(hint: Any, entry: Setting) -> str:
    """Return the values that a field takes, in words.

    >>> permitted_values(int | None, Setting("Seed.", low=0))
    'whole number at least 0, or null'
    >>> permitted_values(list[str], Setting("Objectives.", choices=("val/loss", "seconds")))
    'list of val/loss, seconds'
    """
    kinds = (
        [kind for kind in get_args(hint) if kind is not NoneType] if isinstance(hint, UnionType) else [hint]
    )
    null = ", or null" if kinds != [hint] or hint is Any else ""
    [kind] = kinds
    if entry.values:
        return entry.values + null
    if entry.pair:
        return f"[low, high], ascending numbers between {entry.low:g} and {entry.high:g}{null}"
    of_list = get_origin(kind) is list
    kind = get_args(kind)[0] if of_list else get_origin(kind) or kind
    plain = "path" if entry.text == "path" else _KINDS.get(kind, "any value") + _range(entry)
    words = ", ".join(entry.choices) if entry.choices else plain
    return ("list of " if of_list else "") + words + null


def _range(entry: Setting) -> str:
    if entry.low is None:
        return ""
    if entry.high is None:
        return f" at least {entry.low:.12g}"
    between = "strictly between" if entry.exclusive else "between"
    return f" {between} {entry.low:.12g} and {entry.high:.12g}"
