"""A resumed sweep is the one that was planned."""

from __future__ import annotations

from typing import Any

import pytest

from crack_lightning.runtime.errors import ConfigError
from crack_lightning.sweep.job_configs import check_unchanged


def test_where_runs_are_and_how_they_show_themselves_may_change() -> None:
    was = {"seed": 0, "outputs": "a", "progress": True}
    check_unchanged("job 0", was, {"seed": 0, "outputs": "b", "progress": False})


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"seed": 0, "model": {"name": "c"}}, r"of job 3 model\.name was 'a' and is 'c'\. Repeat"),
        ({"seed": 7, "model": {"name": "a", "new": 3}}, r"seed was 0 and is 7; model\.new was None and is 3"),
        ({"model": {"name": "a"}, **dict.fromkeys("bcdefghijk", 1)}, "and 3 more"),
    ],
)
def test_another_configuration_is_refused_with_what_differs(now: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_unchanged("job 3", {"seed": 0, "model": {"name": "a"}}, now)
