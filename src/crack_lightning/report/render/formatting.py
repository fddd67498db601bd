"""Formatting of values and intervals in reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def percent(share: float | None) -> str:
    """Format a share in per cent with two digits, ``None`` as a dash; only 1 becomes "100 %", only 0 "0 %".

    >>> percent(0.97826), percent(1.0), percent(0.99999), percent(0.00001), percent(None)
    ('97.83 %', '100 %', 'over 99.99 %', 'under 0.01 %', '-')
    """
    if share is None:
        return "-"
    if share in {0, 1}:
        return f"{share:.0%}".replace("%", " %")
    if share >= 0.99995:
        return "over 99.99 %"
    return "under 0.01 %" if share < 0.00005 else f"{100 * share:.2f} %"


def number(value: float | None) -> str:
    """Format a number with four digits, an integer with thousands separators, ``None`` as a dash.

    >>> number(0.123456), number(12000), number(0.99999), number(None)
    ('0.1235', '12,000', 'over 0.9999', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return "over 0.9999" if 0.99995 <= value < 1 else f"{value:.4f}"


def limits(interval: Mapping[str, Any] | None, write: Callable[[float], str]) -> str:
    """Format the limits of an interval with one unit, ``None`` as a dash.

    >>> limits({"low": 0.9272, "high": 0.9723}, percent)
    '92.72 to 97.23 %'
    """
    if interval is None:
        return "-"
    return f"{write(interval['low']).removesuffix(' %')} to {write(interval['high'])}"


def in_brackets(interval: Mapping[str, Any] | None, write: Callable[[float], str]) -> str:
    """Format an interval in brackets after a value, ``None`` as an empty string.

    >>> in_brackets({"low": 0.97, "high": 0.99}, number)
    ' (95 % CI 0.9700 to 0.9900)'
    """
    return "" if interval is None else f" (95 % CI {limits(interval, write)})"
