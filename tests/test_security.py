"""Each test that SECURITY.md names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_tests_that_the_security_policy_names_exist() -> None:
    policy = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+[.]py)(?:::(\w+))?`", policy)
    assert len(named) >= 15
    for path, test in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert not test or test in functions, f"{path}::{test}"
    promises = re.findall(r"(?ms)^- [*][*](.+?)[*][*](.*?)(?=^- |^Not covered)", policy)
    untested = [name for name, text in promises if "tests/" not in text]
    assert untested == ["Dependencies"]  # pyproject.toml states them
