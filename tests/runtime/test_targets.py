from __future__ import annotations

import sys
from types import ModuleType

import pytest
from pytorch_lightning.callbacks import Callback, EarlyStopping, ProgressBar

from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.targets import build_targets, nodes_of_class

STOPPING = "pytorch_lightning.callbacks.EarlyStopping"


def test_a_target_gets_its_arguments_and_the_runs_where_it_takes_them() -> None:
    nodes = {"stop": {"_target_": STOPPING, "patience": 7}, "off": None}
    [stop] = build_targets("callbacks", nodes, defaults={"monitor": "val/loss", "save_dir": "x"}, plugins=[])
    assert isinstance(stop, EarlyStopping)
    assert (stop.patience, stop.monitor) == (7, "val/loss")


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        (
            {"_target_": "os.system", "command": "true"},
            r"callbacks\.x\._target_: 'os\.system' is not allowed",
        ),
        (
            {"_target_": "pytorch_lightning.callbacks.Nope"},
            r"there is no 'pytorch_lightning\.callbacks\.Nope'",
        ),
        ({"_target_": STOPPING, "patienc": 3}, r"callbacks\.x\.patienc: .* did you mean patience\?"),
        ({"_target_": STOPPING, "patience": "abc"}, r"x\.patience: expected a whole number, got 'abc'"),
        ({"_target_": STOPPING, "strict": [1]}, r"callbacks\.x\.strict: expected true or false, got \[1\]"),
        ({"_target_": STOPPING, "monitor": {"_target_": "os.getcwd"}}, "a _target_ within a target"),
        ({"_target_": STOPPING, "monitor": "a", "mode": "sideways"}, "callbacks.x: .* refused its arguments"),
        (
            {"_target_": "pytorch_lightning.callbacks.timer.timedelta"},
            r"x\._target_: expected a Callback of Lightning, and '.*timedelta' is none",
        ),
        ({"_target_": "pytorch_lightning.callbacks..x"}, r"there is no 'pytorch_lightning\.callbacks\.\.x'"),
        ({"patience": 3}, "callbacks.x: expected a _target_ and its arguments"),
    ],
)
def test_a_target_that_cannot_be_built_is_named(node: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        build_targets("callbacks", {"x": node}, defaults={}, plugins=[])


def test_all_faults_are_reported_together() -> None:
    nodes = {"x": {"_target_": "os.system"}, "y": {"_target_": STOPPING, "patienc": 3}}
    with pytest.raises(ConfigError, match=r"(?s)callbacks\.x.*callbacks\.y"):
        build_targets("callbacks", nodes, defaults={}, plugins=[])


def test_the_users_own_module_is_allowed_when_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("my_callbacks")
    module.Mine = type("Mine", (Callback,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_callbacks", module)
    [mine] = build_targets(
        "callbacks", {"x": {"_target_": "my_callbacks.Mine"}}, defaults={}, plugins=["my_callbacks"]
    )
    assert type(mine).__name__ == "Mine"


def test_nodes_are_told_by_their_class_and_not_by_their_name() -> None:
    bar = {"_target_": "pytorch_lightning.callbacks.TQDMProgressBar"}
    nodes = {"mine": bar, "progress_bar": None, "progress": {"_target_": STOPPING}, "x": {"_target_": "os.x"}}
    assert nodes_of_class(nodes, ProgressBar, plugins=[]) == {"mine": bar}
