"""Instantiation of callbacks and loggers by ``_target_``, restricted to an allow-list."""

from __future__ import annotations

import importlib
import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from crack_lightning.runtime.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALLOWED = ("pytorch_lightning.callbacks.", "pytorch_lightning.loggers.")
_KINDS = {int: "a whole number", float: "a number", bool: "true or false"}


def build_targets(
    group: str, nodes: Mapping[str, Any], *, defaults: Mapping[str, Any], plugins: Sequence[str]
) -> list[Any]:
    """Check all nodes of a group, then build their objects.

    Args:
        group: ``callbacks`` or ``logger``.
        nodes: By name, each with a ``_target_`` and its arguments.
        defaults: Arguments of the run, for targets that accept them and nodes that do not set them.
        plugins: The user's own modules, whose classes are allowed too.

    Returns:
        The objects, in the nodes' order.

    Raises:
        ConfigError: With every node that cannot be built: not allowed, unknown, or invalid arguments.
    """
    allowed, base = _allowed(plugins), _base(group)
    problems: list[str] = []
    calls: dict[str, tuple[type[Any], dict[str, Any]]] = {}
    for name, node in nodes.items():
        if node is None:
            continue
        try:
            calls[name] = _checked_call(f"{group}.{name}", node, defaults, allowed, base)
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    objects = []
    for name, (target_class, arguments) in calls.items():
        try:
            objects.append(target_class(**arguments))
        except Exception as error:
            target = nodes[name]["_target_"]
            raise ConfigError(f"{group}.{name}: {target} refused its arguments ({error}).") from error
    return objects


def nodes_of_class(
    nodes: Mapping[str, Any], kind: type[Any] | tuple[type[Any], ...], *, plugins: Sequence[str]
) -> dict[str, Any]:
    """Return the nodes whose target is a subclass of given classes; ``null`` nodes are disabled.

    A node that cannot be built is omitted; :func:`build_targets` raises its error.

    Args:
        nodes: By name, each with a ``_target_`` and its arguments.
        kind: The class or classes.
        plugins: The user's own modules, whose classes are allowed too.
    """
    matching = {}
    for name, node in nodes.items():
        with suppress(ConfigError):
            if node is not None and issubclass(_target_class(name, node, _allowed(plugins)), kind):
                matching[name] = node
    return matching


def _base(group: str) -> type[Any]:
    from pytorch_lightning import Callback
    from pytorch_lightning.loggers import Logger

    return Callback if group == "callbacks" else Logger


def _allowed(plugins: Sequence[str]) -> tuple[str, ...]:
    return (*ALLOWED, *(f"{plugin}." for plugin in plugins))


def _target_class(key: str, node: Any, allowed: tuple[str, ...]) -> type[Any]:
    if not isinstance(node, dict) or "_target_" not in node:
        raise ConfigError(
            f"{key}: expected a _target_ and its arguments, got {node!r}; or remove it with ~{key}."
        )
    target = str(node["_target_"])
    if not target.startswith(allowed):
        raise ConfigError(
            f"{key}._target_: '{target}' is not allowed; expected {' or '.join(allowed)}…, "
            "or your own module named in plugins=[module]."
        )
    return _import_class(key, target)


def _checked_call(
    key: str, node: Any, defaults: Mapping[str, Any], allowed: tuple[str, ...], base: type[Any]
) -> tuple[type[Any], dict[str, Any]]:
    """Return the class of a node and the arguments to call it with."""
    target_class, target = _target_class(key, node, allowed), str(node.get("_target_"))
    if not issubclass(target_class, base):
        raise ConfigError(f"{key}._target_: expected a {base.__name__} of Lightning, and '{target}' is none.")
    nested = [name for name, value in node.items() if _names_target(value)]
    if nested:
        raise ConfigError(f"{key}.{nested[0]}: a _target_ within a target is not allowed; give plain values.")
    parameters = inspect.signature(target_class).parameters
    arguments = {name: value for name, value in node.items() if not name.startswith("_")}
    takes_any = any(item.kind is item.VAR_KEYWORD for item in parameters.values())
    for name, value in arguments.items():
        if name in parameters:
            _check_value(f"{key}.{name}", value, parameters[name].annotation)
        elif not takes_any:
            raise ConfigError(
                f"{key}.{name}: {target} takes no such argument{_did_you_mean(nearest(name, parameters))}"
            )
    supplied = {
        name: value for name, value in defaults.items() if name in parameters and name not in arguments
    }
    return target_class, supplied | arguments


def _check_value(key: str, value: Any, annotation: Any) -> None:
    """Refuse a string, a list or a mapping where a target takes a number or a bool."""
    if annotation in _KINDS and isinstance(value, str | list | dict):
        raise ConfigError(f"{key}: expected {_KINDS[annotation]}, got {value!r}; give one.")


def _names_target(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(map(_names_target, value.values()))
    return isinstance(value, list) and any(map(_names_target, value))


def _did_you_mean(match: str | None) -> str:
    return f"; did you mean {match}?" if match else "."


def _import_class(key: str, target: str) -> type[Any]:
    module, _, name = target.rpartition(".")
    try:
        target_class = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        raise ConfigError(f"{key}._target_: there is no '{target}'; see the names in {module}.") from None
    if not inspect.isclass(target_class):
        raise ConfigError(f"{key}._target_: expected a class, and '{target}' is none.")
    return target_class
