"""A resumed sweep is the one that was planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crack_lightning.errors import ConfigError
from crack_lightning.sweep.composing import require_same
from crack_lightning.sweep.journal import Job


def jobs(*configs: dict[str, Any]) -> list[Job]:
    return [
        Job(number=number, folder=Path(str(number)), overrides=[], config=config)
        for number, config in enumerate(configs)
    ]


def test_where_runs_are_and_how_they_show_themselves_may_change() -> None:
    was = {"seed": 0, "outputs": "a", "progress": True}
    require_same(jobs(was), [{"seed": 0, "outputs": "b", "progress": False}])


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ([{"seed": 0, "model": {"name": "a"}}], "the sweep has 2 jobs, and this command line makes 1"),
        (
            [{"seed": 0, "model": {"name": "a"}}, {"seed": 1, "model": {"name": "c"}}],
            r"model\.name of job 1 was 'b' and is 'c'\. Repeat",
        ),
        (
            [{"seed": number, "model": {"name": "a", "new": 3}} for number in (7, 8)],
            r"seed of job 0 was 0 and is 7; model\.new of job 0 was None and is 3; seed of job 1",
        ),
    ],
)
def test_another_configuration_is_refused_with_what_differs(now: list[dict[str, Any]], said: str) -> None:
    was = jobs({"seed": 0, "model": {"name": "a"}}, {"seed": 1, "model": {"name": "b"}})
    with pytest.raises(ConfigError, match=said):
        require_same(was, now)
