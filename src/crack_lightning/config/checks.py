"""One sentence for a value out of range."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crack_lightning.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection


def require_range(key: str, value: float, *, low: float, high: float | None = None) -> None:
    """Refuse a number outside ``[low, high]``.

    Raises:
        ConfigError: If ``value`` is outside.
    """
    if value < low or (high is not None and value > high) or value != value:  # noqa: PLR0124  # NaN
        wanted = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ConfigError(f"{key}: expected a number {wanted}, got {value}.")


def require_choice(key: str, value: str, choices: Collection[str]) -> None:
    """Refuse a word that is not one of ``choices``.

    Raises:
        ConfigError: If ``value`` is another word.
    """
    if value not in choices:
        raise ConfigError(f"{key}: expected one of {', '.join(choices)}, got '{value}'.")
