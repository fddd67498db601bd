"""``data.class_names`` as it is typed, with folder names that neither YAML nor Hydra takes for text."""

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
    """Return the class by folder of ``{folder: class, …}``, given as a text or as a mapping.

    In a text all names are texts: ``0`` is no number, ``True`` no truth value, and ``Crack (wide), 2mm`` one
    folder, since a class follows every colon. In quotes a folder may have a colon.

    Raises:
        ConfigError: If it is something else, or a folder or class has no name.

    Examples:
        >>> read_class_names("{0: intact, Crack (wide), 2mm: crack}")
        {'0': 'intact', 'Crack (wide), 2mm': 'crack'}
    """
    if value is None:
        return None
    if isinstance(value, dict) and not any(isinstance(name, dict | list | None) for name in value.values()):
        found = {str(folder): str(name) for folder, name in value.items()}
    else:
        found = _pairs(value) if isinstance(value, str) else {}
    if not found or not all(found.values()):
        raise ConfigError(f"{_KEY}: expected {{folder: class, …}}, got {value!r}.")
    return found


def _pairs(text: str) -> dict[str, str]:
    """Return the pairs of a text in braces, none where one of it is no pair."""
    if not (text.startswith("{") and text.endswith("}")):
        return {}
    found, place, body = {}, 0, text[1:-1]
    while place < len(body):
        if (pair := _PAIR.match(body, place)) is None:
            return {}
        folder = next(name for name in pair.group("single", "double", "plain") if name is not None)
        found[folder], place = pair["name"], pair.end()
    return found
