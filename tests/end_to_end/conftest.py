"""Scripts beside the tests, whose packages nox sessions of their own install, hold no doctests."""

from __future__ import annotations

from pathlib import Path

collect_ignore = [path.name for path in Path(__file__).parent.glob("*.py") if path.name[:5] != "test_"]
