"""Where the option files are."""

from __future__ import annotations

from pathlib import Path


def conf_dir() -> Path:
    """Return the folder of option files: inside the installed package, else the checkout's."""
    packaged = Path(__file__).parents[1] / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "conf"
