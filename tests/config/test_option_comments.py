"""What the comment of an option file says of a key is what the option sets."""

from __future__ import annotations

import re

import pytest
from omegaconf import OmegaConf

from crack_lightning.config import compose_config, conf_dir

STATED = [
    (path.parent.name, path.stem, key, value)
    for path in sorted(conf_dir().glob("*/*.yaml"))
    for line in path.read_text(encoding="utf-8").splitlines()
    if line.startswith("#") and "python -m" not in line
    for key, value in re.findall(r"\(([a-z_]+\.[a-z_]+)=([\w.]+)\)", line)
]


def test_the_share_of_the_default_schedule_is_stated() -> None:
    assert ("scheduler", "one_cycle", "scheduler.warmup_fraction", "0.2") in STATED


@pytest.mark.parametrize(("group", "option", "key", "value"), STATED)
def test_what_a_comment_states_is_what_is_composed(group: str, option: str, key: str, value: str) -> None:
    assert str(OmegaConf.select(compose_config("train", [f"{group}={option}"]), key)) == value
