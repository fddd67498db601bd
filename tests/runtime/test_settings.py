"""The check that reads the permitted values of each field."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pytest

from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.settings import (
    check_settings,
    default_of,
    keys_except,
    node,
    setting,
    settings_of,
    unread_problems,
)


@dataclass
class Inner:
    """A node."""

    words: list[str] = setting(["a"], "Words.", choices=("a", "b"))
    seed: int = setting(0, "Seed.", low=0)


@dataclass
class Outer:
    """A command."""

    share: float | None = setting(None, "Share.", low=0, high=1, exclusive=True)
    sides: list[int] = setting([], "Sides.", low=32, high=64)
    span: list[float] = setting([0.0, 1.0], "Span.", low=0, high=2, pair=True)
    inner: Inner = node(Inner)
    plain: int = 3


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (Outer(share=1.0), "x.share: expected a number between 0 and 1, got 1.0."),
        (Outer(share=float("nan")), "x.share: expected a number between 0 and 1, got nan."),
        (Outer(sides=[48, 16]), "x.sides: expected a number between 32 and 64, got 16."),
        (
            Outer(span=[1.0]),
            r"x.span: expected [low, high], two ascending numbers between 0 and 2, got [1.0].",
        ),
        (Outer(span=[1.0, 0.5]), "x.span: expected [low, high], two ascending numbers between 0 and 2, got "),
        (Inner(words=["a", "c"]), "x.words: expected one of a, b, got 'c'."),
        (Inner(words=[]), "x.words: expected one of a, b, got ''."),
        (Inner(seed=-1), "x.seed: expected a number at least 0, got -1."),
    ],
)
def test_a_value_outside_range_or_choices_is_refused(config: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_settings(config, "x")
    assert str(caught.value).startswith(said)


def test_permitted_values_pass() -> None:
    check_settings(Outer(share=0.5, sides=[32, 64], span=[1.0, 1.0]))
    check_settings(Outer())


def test_defaults_are_not_shared() -> None:
    Outer().sides.append(40)
    assert Outer().sides == []
    assert [default_of(item) for item in fields(Outer)] == [None, [], [0.0, 1.0], Inner(), 3]


def test_a_node_means_what_its_class_says() -> None:
    assert settings_of(Outer)["inner"].meaning == "A node."
    assert "plain" not in settings_of(Outer)


def test_keys_below_a_node_that_a_command_does_not_read_are_listed() -> None:
    @dataclass
    class Command:
        outer: Outer = node(Outer, unread=("sides", *keys_except(Inner, "words", prefix="inner.")))

    assert list(unread_problems(Command(), by="it")) == []
    changed = Command(Outer(sides=[40], inner=Inner(seed=2, words=["b"])))
    assert list(unread_problems(changed, by="it")) == [
        "outer.sides: it does not read it; leave it out.",
        "outer.inner.seed: it does not read it; leave it out.",
    ]
