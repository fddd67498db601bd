"""Keys that take paths or other texts, from the metadata of the settings."""

from __future__ import annotations

from functools import cache
from inspect import get_annotations
from typing import Any

from crack_lightning.config.commands import SCHEMAS
from crack_lightning.config.error_messages import schema_keys
from crack_lightning.config.renamed_keys import schema_key
from crack_lightning.runtime.files.paths import expand_user
from crack_lightning.runtime.settings import settings_of


@cache
def text_keys(kind: str) -> tuple[str, ...]:
    """Return the keys of all commands and sources that take a text.

    Args:
        kind: ``path`` or ``plain``, as in :class:`~crack_lightning.runtime.settings.Setting`.
    """
    return tuple(sorted(key for key, (text, _) in _marked_keys().items() if text == kind))


@cache
def list_keys() -> frozenset[str]:
    """Return the keys of all commands and sources that take a list of texts."""
    return frozenset(key for key, (_, is_list) in _marked_keys().items() if is_list)


@cache
def _marked_keys() -> dict[str, tuple[str, bool]]:
    """Return kind of text and whether it is a list, by key."""
    marked = {}
    for schema in SCHEMAS.values():
        for key, owner in schema_keys(schema):
            name = key.rpartition(".")[2]
            entry = settings_of(owner).get(name)
            if entry is not None and entry.text:
                marked[key] = entry.text, str(get_annotations(owner)[name]).startswith("list")
    return marked


def expand_paths(settings: Any, *, key: str = "") -> Any:
    """Expand ``~`` in every path of a command's settings.

    Args:
        settings: Plain values, nested in dictionaries and lists.
        key: The dotted key of ``settings``.
    """
    if isinstance(settings, dict):
        return {name: expand_paths(item, key=f"{key}.{name}".lstrip(".")) for name, item in settings.items()}
    if isinstance(settings, list):
        return [expand_paths(item, key=key) for item in settings]
    is_path = isinstance(settings, str) and schema_key(key) in text_keys("path")
    return expand_user(settings) if is_path else settings
