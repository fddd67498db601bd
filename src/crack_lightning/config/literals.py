"""Quoting and escaping of texts for Hydra's grammar and OmegaConf's interpolation."""

from __future__ import annotations

import re
from typing import Any

_RESOLVED = re.compile(r"(\$\{(?:oc\.[a-z_.]+|now|hydra):[^{}]*\})")
"""Resolver calls, such as an environment variable or a date, which work in paths on the command line."""


def quote(text: str) -> str:
    r"""Return a text in quotes, for a value in Hydra's grammar of overrides.

    Hydra halves the backslashes before a quote, the closing one too, and leaves all others.

    >>> print(quote("it's"), quote("site (1)"), quote("tiles\\"))
    'it\'s' 'site (1)' 'tiles\\'
    """
    return "'" + re.sub(r"(\\*)('|\Z)", _doubled, text) + "'"


def _doubled(match: re.Match[str]) -> str:
    return match[1] * 2 + ("\\'" if match[2] else "")


def escaped(text: str) -> str:
    r"""Return a text that OmegaConf resolves to ``text`` itself, even if it contains a reference.

    >>> print(escaped("photos/${site}.jpg"))
    photos/\${site}.jpg
    """
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def unescaped(text: str) -> str:
    """Invert :func:`escaped`."""
    return re.sub(r"(\\*)\\\$\{", lambda match: match[1][::2] + "${", text)


def escaped_references(text: str) -> str:
    """Escape interpolations other than resolver calls such as ``${oc.env:HOME}``."""
    parts = _RESOLVED.split(text)
    return "".join(part if place % 2 else escaped(part) for place, part in enumerate(parts))


def all_escaped(value: Any) -> Any:
    """Return plain values, nested in dictionaries and lists, with every text escaped."""
    if isinstance(value, dict):
        return {key: all_escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [all_escaped(item) for item in value]
    return escaped(value) if isinstance(value, str) else value
