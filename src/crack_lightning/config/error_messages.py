"""Error messages for wrong keys, options and values, with the nearest valid one and where it is defined."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from omegaconf import OmegaConf
from omegaconf.errors import (
    ConfigKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    ValidationError,
)

from crack_lightning.config.renamed_keys import renamed_problem
from crack_lightning.data.sources import SOURCES, SourceSettings
from crack_lightning.runtime.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hydra.errors import MissingConfigException, OverrideParseException

_OPEN_KEYS = ("callbacks", "logger", "hydra")
_EXPECTED = {
    "checkpoint": "a run's checkpoints/best.ckpt, or builtin",
    "source": "files, folders or patterns",
    "runs": "folders of finished runs or of a sweep",
}
_KINDS = {"Integer": "a whole number", "Float": "a number", "bool": "true or false"}


def schema_keys(schema: type[Any], prefix: str = "") -> Iterator[tuple[str, type[Any]]]:
    """Yield every full key of a schema with the dataclass that defines it."""
    hints = get_type_hints(schema)
    for item in fields(schema):
        yield prefix + item.name, _defined_in(schema, item.name)
        if not is_dataclass(hint := hints[item.name]):
            continue
        yield from schema_keys(cast("type[Any]", hint), f"{prefix}{item.name}.")
        if isinstance(hint, type) and issubclass(hint, SourceSettings):
            for source in SOURCES.values():
                yield from schema_keys(source.settings, f"{prefix}{item.name}.")


def _defined_in(schema: type[Any], name: str) -> type[Any]:
    return next(owner for owner in schema.__mro__ if name in inspect.get_annotations(owner))


def nearest_key(key: str, schema: type[Any]) -> str:
    """Return a hint with the most similar valid key and where it is defined.

    Args:
        key: A full key that the schema lacks, for example ``model.lr``.
        schema: The command's dataclass.

    Returns:
        The end of a sentence, for example ``did you mean optimizer.lr (config/nodes/optimizer.py)?``.
    """
    keys = dict(schema_keys(schema))
    node, _, leaf = key.rpartition(".")
    siblings = {name.removeprefix(f"{node}."): name for name in keys if name.rpartition(".")[0] == node}
    namesakes = [name for name in keys if name.rpartition(".")[2] == leaf]
    sibling = siblings.get(nearest(leaf, siblings) or "")
    match = sibling or next(iter(namesakes), None) or nearest(key, keys) or nearest(key, keys, cutoff=0)
    assert match is not None, "a schema without keys"
    return f"did you mean {match} ({_where(keys[match])})?"


def explain_error(error: BaseException, *, schema: type[Any], conf: Path | None = None) -> str:
    """Turn an error of Hydra or OmegaConf into one sentence.

    Args:
        error: Exception of Hydra or OmegaConf.
        schema: The command's dataclass.
        conf: The folder of option files, to name the nearest option and its file.

    Returns:
        The sentence: full key, what is expected, what was got, the next step.
    """
    from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException

    if match := re.match(r"Could not override '([^']+)'", str(error)):
        return _unknown_key(match[1], schema, conf)
    in_option_file = isinstance(error, ConfigCompositionException)  # raised without a cause
    cause = error.__cause__ or (error.__context__ if in_option_file else None)
    if isinstance(cause, ValidationError | ConfigKeyError):
        error = cause
    match error:
        case MissingConfigException():
            sentence = _missing_option(error, conf)
        case MissingMandatoryValue():
            key = str(error.full_key)
            sentence = f"{key}: expected {_EXPECTED.get(key, 'a value')}, got none; give {key}=…."
        case ConfigKeyError():
            sentence = _no_such_key(str(error.full_key), schema)
        case ValidationError():
            sentence = _wrong_value(error, schema)
        case InterpolationResolutionError():
            sentence = f"{error.full_key}: {_first_line(error)}; fix the reference."
        case OverrideParseException():
            sentence = f"'{error.override}': {_parser_message(error)}; see --help, and quote text."
        case _:
            sentence = _several_values(error) or _first_line(error)
    return sentence


def _parser_message(error: OverrideParseException) -> str:
    """Return the message of Hydra's parser without the override and the list of expected tokens."""
    lines = [line for line in str(error).splitlines() if not line.startswith("Error parsing override ")]
    return lines[0].partition(" expecting {")[0] if lines else _first_line(error)


def _several_values(error: BaseException) -> str | None:
    if match := re.match(r"Ambiguous value for argument '([^=]+)=(.*)'", str(error)):
        hint = f"add -m to run each, or write [{match[2]}] for a list"
    elif match := re.match(r"Sweep parameters '([^=]+)=(.*)' requires --multirun", str(error)):
        hint = "add -m to run several"
    else:
        return None
    return f"{match[1]}: expected one value, got '{match[2]}'; {hint}."


def require_options(arguments: Sequence[str], groups: Mapping[str, list[str]]) -> None:
    """Refuse a value of a group that cannot be an option's name; Hydra's error has neither group nor value.

    Args:
        arguments: Those for Hydra.
        groups: Options by group.

    Raises:
        ConfigError: With the group, its options and what was given.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for argument in arguments:
        group, _, text = argument.lstrip("+").partition("=")
        if group not in groups:
            continue
        value = OverridesParser.create().parse_override(argument).value()
        if isinstance(value, bool | int | float | dict | None):
            raise ConfigError(
                f"{group}: expected one of {', '.join(groups[group])}, got '{text}'; set one of them, or "
                "leave it out."
            )


def _missing_option(error: MissingConfigException, conf: Path | None) -> str:
    group, _, option = str(error.missing_cfg_file or "").rpartition("/")
    options = sorted(name for name in error.options or [] if not name.startswith("_"))
    if not group:
        return _first_line(error)
    match = nearest(option, options)
    if match is None:
        return f"{group}: no option '{option}'; expected one of {', '.join(options)}."
    place = f" (conf/{group}/{match}.yaml)" if conf is not None else ""
    return f"{group}: no option '{option}'; did you mean {group}={match}{place}? All: {', '.join(options)}."


def _unknown_key(key: str, schema: type[Any], conf: Path | None) -> str:
    groups = sorted(path.name for path in conf.iterdir() if path.is_dir()) if conf else []
    own = {item.name for item in fields(schema)} | {"experiment", "hparams_search", "hydra"}
    first = key.partition(".")[0]
    if first in groups and first not in own:
        return f"{key}: this command does not read it; leave it out, or see --help."
    if "." not in key and (match := nearest(key, sorted(own.intersection(groups)))):
        return f"{key}: no such group; did you mean {match}=… (conf/{match}/)?"
    if first in _OPEN_KEYS and conf:
        return _unknown_open_key(key, conf)
    return _no_such_key(key, schema)


def _no_such_key(key: str, schema: type[Any]) -> str:
    return renamed_problem(key) or f"{key}: no such key; {nearest_key(key, schema)}"


def _unknown_open_key(key: str, conf: Path) -> str:
    group = "hydra.launcher" if key.startswith("hydra.launcher.") else key.partition(".")[0]
    place = group.replace(".", "/")
    known = {
        f"{group}.{name}": path.name
        for path in sorted((conf / place).glob("*.yaml"))
        for name in _flat_keys(OmegaConf.to_container(OmegaConf.load(path)))
    }
    match = nearest(key, known)
    if match is None:
        return f"{key}: no such key; to add one write +{key}=…."
    return f"{key}: no such key; did you mean {match} (conf/{place}/{known[match]})?"


def _flat_keys(node: Any, prefix: str = "") -> Iterator[str]:
    for name, value in node.items() if isinstance(node, dict) else ():
        yield prefix + name
        if isinstance(value, dict):
            yield from _flat_keys(value, f"{prefix}{name}.")


def _wrong_value(error: ValidationError, schema: type[Any]) -> str:
    keys = dict(schema_keys(schema))
    key = str(error.full_key)
    if match := re.match(r"Value '(.*)' is not a valid (bool)", str(error)) or re.match(
        r"Value '(.*)' of type '\w+' could not be converted to (\w+)", str(error)
    ):
        kind = _KINDS.get(match[2], match[2])
        return f"{key}: expected {kind}, got '{match[1]}'{_defined(keys.get(key))}."
    if re.match(r"Invalid value assigned: \w+ is not a ListConfig", str(error)):
        return f"{key}: expected a list, as in [a, b], got a single value{_defined(keys.get(key))}."
    if match := re.match(r"Invalid type assigned: \w+ is not a subclass of \w+. value: (.*)", str(error)):
        return f"{key}: expected keys, as in {key}.<key>=…, got '{match[1]}'{_defined(keys.get(key))}."
    return f"{key}: {_first_line(error)}{_defined(keys.get(key))}."


def _defined(owner: type[Any] | None) -> str:
    return f" ({_where(owner)})" if owner else ""


def _where(owner: type[Any]) -> str:
    module = inspect.getmodule(owner)
    assert module is not None
    return f"{owner.__name__} in {module.__name__.removeprefix('crack_lightning.').replace('.', '/')}.py"


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")
