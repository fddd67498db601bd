"""Text on a console that may not have every character."""

from __future__ import annotations

import os
import re
import sys

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def tolerate_every_text() -> None:
    """Let standard output and error, also of processes started later, escape what their encoding has not."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if encoding := getattr(sys.stdout, "encoding", None):
        os.environ["PYTHONIOENCODING"] = f"{encoding}:backslashreplace"


def printable(text: str) -> str:
    r"""Return a text whose control characters, such as those in a file's name, are escaped.

    Examples:
        >>> print(printable("a\x1b[2J.jpg"))
        a\x1b[2J.jpg
    """
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
