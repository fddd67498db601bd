"""Quoting of typed values, such as paths, for Hydra's grammar."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.config.commands import COMMANDS
from crack_lightning.config.literals import escaped_references, quote, unescaped
from crack_lightning.config.renamed_keys import schema_key
from crack_lightning.config.text_keys import list_keys, text_keys
from crack_lightning.runtime.errors import CrackLightningError
from crack_lightning.runtime.files.paths import expand_user

if TYPE_CHECKING:
    from collections.abc import Iterator

POSITIONAL_KEYS = tuple(entry.paths.key for entry in COMMANDS.values() if entry.paths and entry.paths.several)
"""Keys that positional paths set."""
_HYDRA_KEYS = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
_ONE_VALUE_KEYS = (*_HYDRA_KEYS, "resume", "sweep.resume", "outputs", "data.class_names")
"""Keys that a sweep cannot vary."""
TEXT_KEYS = (*text_keys("path"), *text_keys("plain"), *_HYDRA_KEYS)
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_ITEM = re.compile(rf"\s*({_QUOTED.pattern}|[^,]+?)\s*(?:,|\Z)", re.DOTALL)
_WORD = re.compile(r"(?!(?:null|true|false|nan|inf)\Z)(?:[A-Za-z_/]|\.{1,2}/)[A-Za-z0-9_./-]*", re.IGNORECASE)
_CHOOSES = re.compile(r"(?:choice|glob|shuffle|sort)\(.*\)", re.DOTALL)


def as_override(argument: str, *, sweeps: bool) -> str:
    """Return ``key=value`` in Hydra's grammar, with paths and texts quoted.

    ``null`` is quoted only if a file has that name; quoted values and lists are not changed.

    Args:
        argument: Argument on the command line.
        sweeps: Whether commas separate the values of several jobs.

    Raises:
        CrackLightningError: If a path is empty.
    """
    key, equals, value = argument.partition("=")
    if not (is_text_key(key) and equals) or (value.casefold() == "null" and not exists(value)):
        return argument
    if not value:
        raise CrackLightningError(f"{key}: a text is expected, got none; give {key}=…, or leave it out.")
    name = schema_key(key.lstrip("+"))
    if name in list_keys():
        return f"{key}=[{','.join(_listed(value))}]"
    if not sweeps or name in _ONE_VALUE_KEYS or exists(value) or _QUOTED.fullmatch(value):
        return f"{key}={_text(value, name)}"
    if _CHOOSES.fullmatch(value):
        return argument
    return f"{key}={','.join(item if _WORD.fullmatch(item) else _text(item) for item in _items(value))}"


def typed_values(override: str) -> list[str] | None:
    """Return the unquoted paths or text of an override; ``None`` for other overrides."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    if not is_text_key(override.partition("=")[0]):
        return None
    parsed = OverridesParser.create().parse_override(override)
    value = None if parsed.is_sweep_override() or parsed.is_delete() else parsed.value()
    if isinstance(value, list):
        return [unescaped(str(item)) for item in value]
    return None if value is None else [unescaped(str(value))]


def literal(path: str) -> str:
    """Quote a path for Hydra's grammar; ``???``, OmegaConf's mark of a missing value, becomes ``./???``."""
    return quote("./???" if path == "???" else escaped_references(path))


def is_text_key(key: str) -> bool:
    """Return whether a key takes a path or another text, also below ``data.sources``."""
    return schema_key(key.lstrip("+")) in TEXT_KEYS


def exists(path: str) -> bool:
    """Return whether a file or folder exists at a path."""
    try:
        return Path(expand_user(path)).exists()
    except OSError:  # a grid of settings can be longer than a name may be
        return False


def _listed(value: str) -> Iterator[str]:
    """Yield the quoted paths of a list, or of a single path."""
    if value.startswith("[") and value.endswith("]") and not exists(value):
        return map(_text, _items(value[1:-1]))
    return iter([_text(value)])


def _items(value: str) -> list[str]:
    return [match[1] for match in _ITEM.finditer(value)]


def _text(value: str, key: str = "") -> str:
    if _QUOTED.fullmatch(value) and not exists(value):
        return value
    return quote(value) if key in _HYDRA_KEYS else literal(value)
