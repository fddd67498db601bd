"""Check of the nodes that name code to run: a run's folder, which may be untrusted, cannot add any."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from crack_lightning.config.nodes.train import TrainConfig

KEYS = ("plugins", "callbacks", "logger")
_NODES = ("callbacks", "logger")
_LONGEST = 4000


def names_code(override: str) -> bool:
    """Return whether an override sets something below one of ``KEYS``.

    >>> names_code("+callbacks.mine.steps=3"), names_code("~logger"), names_code("seed=3")
    (True, True, False)
    """
    return _key(override).partition(".")[0] in KEYS


def require_trusted_code(
    run: TrainConfig, current: TrainConfig, *, folder: Path, overrides: Sequence[str]
) -> None:
    """Refuse code that the run's folder names, but neither the command line nor the packaged defaults do.

    Keys that the folder lacks or sets to ``null`` run no code and need not be repeated.

    Args:
        run: The folder's configuration.
        current: The configuration of the command line, with the packaged defaults.
        folder: The run's, for the error.
        overrides: Overrides on the command line, ``key=value`` each.

    Raises:
        ConfigError: With what to repeat, or with what to leave out.
    """
    missing = [] if run.plugins in ([], current.plugins) else [_override("plugins", run.plugins)]
    for group in _NODES:
        missing += _missing(group, getattr(run, group), getattr(current, group))
    if missing:
        typed = shlex.join(missing)
        shown = typed if len(typed) <= _LONGEST else f"{typed[:_LONGEST]} …"
        raise ConfigError(
            "resume: plugins, callbacks and logger are expected from the command line, because they name "
            f"code to run, got others in '{folder}'; if you trust that code, repeat {shown}"
        )
    for override in filter(names_code, overrides):
        group = _key(override).partition(".")[0]
        if _active(getattr(run, group)) != _active(getattr(current, group)):
            raise ConfigError(
                f"{group}: a resumed run keeps its settings, and that in '{folder}' was begun without "
                f"{shlex.quote(override)}; leave it out, or start a new run."
            )


def _missing(group: str, run: Mapping[str, Any], current: Mapping[str, Any]) -> Iterable[str]:
    for name, node in run.items():
        if node is None or current.get(name) == node:
            continue
        if name in current:
            yield f"~{group}.{name}"
        yield f"+{_override(f'{group}.{name}', node)}"


def _active(nodes: Any) -> Any:
    """Return nodes without those that are off; a list is unchanged."""
    return {name: node for name, node in nodes.items() if node} if isinstance(nodes, dict) else nodes


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _override(key: str, value: object) -> str:
    return f"{key}={_typed(value)}"


def _typed(value: object) -> str:
    r"""Return a value in Hydra's grammar.

    >>> _typed({"_target_": "m.Mine", "steps": [1, None], "on": True, "text": 'a "b"'})
    '{_target_: "m.Mine", steps: [1, null], on: true, text: "a \\"b\\""}'
    """
    match value:
        case dict():
            return f"{{{', '.join(f'{name}: {_typed(item)}' for name, item in value.items())}}}"
        case list():
            return f"[{', '.join(map(_typed, value))}]"
        case str():
            escaped = value.replace('"', '\\"')
            return f'"{escaped}"'
        case None:
            return "null"
        case bool():
            return str(value).lower()
    return str(value)
