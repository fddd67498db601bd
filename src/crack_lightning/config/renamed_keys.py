"""Renamed keys: refused on the command line, and converted in the settings of earlier runs."""

from __future__ import annotations

from typing import Any

RENAMED = {
    "data.drawn": "data.synthetic",
    "model.strongest_cells": "model.top_k_fraction",
    "recipe.all_stages_by": "recipe.unfreeze_by",
}
"""The new key by the old one."""


def with_new_names(settings: Any, *, key: str = "") -> Any:
    """Return the settings of an earlier run, nested mappings, with their present keys.

    Args:
        settings: Plain values.
        key: The dotted key of ``settings``.
    """
    if not isinstance(settings, dict):
        return settings
    return {
        _leaf(schema_key(f"{key}.{name}".lstrip(".")), str(name)): with_new_names(
            item, key=f"{key}.{name}".lstrip(".")
        )
        for name, item in settings.items()
    }


def renamed_problem(key: str) -> str | None:
    """Return the error message for a renamed key; ``None`` for other keys."""
    new = RENAMED.get(schema_key(key))
    if new is None:
        return None
    return f"{key}: no such key any more; it is {key.rpartition('.')[0]}.{new.rpartition('.')[2]} now."


def schema_key(key: str) -> str:
    """Return a key below ``data.sources.<name>`` as the key of a single source.

    >>> schema_key("data.sources.walls.root")
    'data.root'
    """
    first, _, rest = key.partition("data.sources.")
    return f"data.{rest.partition('.')[2]}" if not first and "." in rest else key


def _leaf(key: str, name: str) -> str:
    return RENAMED.get(key, name).rpartition(".")[2] or name
