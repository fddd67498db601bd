"""Console output of text that its encoding cannot represent, or that holds control characters."""

from __future__ import annotations

import os
import re
import sys

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def escape_unencodable_text() -> None:
    """Make standard output and error, also of child processes, escape characters that they cannot encode."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if encoding := getattr(sys.stdout, "encoding", None):
        os.environ["PYTHONIOENCODING"] = f"{encoding}:backslashreplace"


def printable(text: str) -> str:
    r"""Escape the control characters of a text, such as a file's name.

    Examples:
        >>> print(printable("a\x1b[2J.jpg"))
        a\x1b[2J.jpg
    """
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
