"""Parsing of ``data.class_names``, whose folder names YAML or Hydra may not read as text."""

from __future__ import annotations

import re
from typing import Any

from crack_lightning.runtime.errors import ConfigError

_KEY = "data.class_names"
_PAIR = re.compile(
    r"""\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<plain>.+?))\s*:\s*['"]?(?P<name>[^\s:,'"][^:,'"]*?)['"]?\s*(?:,|\Z)""",
    re.DOTALL,
)


def read_class_names(value: Any) -> dict[str, str] | None:
    """Parse ``{folder: class, …}`` from a string or a mapping.

    Names in a string stay text: ``0`` is no number and ``True`` no bool. A folder's name ends at its colon,
    so it may contain commas; one in quotes may contain colons, too.

    Raises:
        ConfigError: If the value has another form, or a folder or class has no name.

    Examples:
        >>> read_class_names("{0: intact, Crack (wide), 2mm: crack}")
        {'0': 'intact', 'Crack (wide), 2mm': 'crack'}
    """
    if value is None:
        return None
    if isinstance(value, dict) and not any(isinstance(name, dict | list | None) for name in value.values()):
        classes = {str(folder): str(name) for folder, name in value.items()}
    else:
        classes = _pairs(value) if isinstance(value, str) else {}
    if not classes or not all(classes.values()):
        raise ConfigError(f"{_KEY}: expected {{folder: class, …}}, got {value!r}.")
    return classes


def _pairs(text: str) -> dict[str, str]:
    """Parse the pairs of a string in braces; return none if any is invalid."""
    if not (text.startswith("{") and text.endswith("}")):
        return {}
    classes, place, body = {}, 0, text[1:-1]
    while place < len(body):
        if (pair := _PAIR.match(body, place)) is None:
            return {}
        folder = next(name for name in pair.group("single", "double", "plain") if name is not None)
        classes[folder], place = pair["name"], pair.end()
    return classes
