"""What a person types, and what Hydra's grammar takes: each turned into the other."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.errors import CrackLightningError

if TYPE_CHECKING:
    from collections.abc import Sequence

LIST_KEYS = ("source", "runs")
PATH_KEYS = (
    *LIST_KEYS,
    "checkpoint",
    "resume",
    "sweep.resume",
    "outputs",
    "data.root",
    "data.archive",
    "data.exclude",
    "data.split.file",
    "model.weights",
)
MULTIRUN = frozenset({"-m", "--multirun"})
_ONE_PATH_KEYS = ("resume", "sweep.resume", "outputs")
"""Of these a sweep takes one."""


def hydra_arguments(name: str, arguments: Sequence[str]) -> list[str]:
    """Turn what a person types into what Hydra's grammar takes.

    Flags move before overrides; plain paths become ``checkpoint=`` and ``source=``; paths are quoted, each of
    several where there is ``-m``.

    Args:
        name: The command.
        arguments: Its arguments.

    Returns:
        The arguments for Hydra.

    Raises:
        CrackLightningError: For ``--experimental-rerun``, which would run what a file says, for a flag that
            is none, and for plain paths that the command does not take.
    """
    flags: list[str] = []
    overrides: list[str] = []
    paths: list[str] = []
    waiting = iter(arguments)
    sweeps = not MULTIRUN.isdisjoint(arguments)
    for argument in waiting:
        if argument.startswith("--experimental-rerun"):
            raise CrackLightningError(f"{argument}: refused, because it runs whatever the file says.")
        if argument.startswith("-"):
            _check_flag(argument)
            flags.append(argument)
            if argument in _FLAGS_WITH_VALUE:
                flags.append(next(waiting, ""))
        elif _is_override(argument):
            overrides.append(_quoted_override(argument, sweeps=sweeps))
        else:
            paths.append(argument)
    return [*flags, *overrides, *_path_overrides(name, paths)]


_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")
_OVERRIDE = re.compile(r"[+]{0,2}[\w.:/@-]+=")
_FLAGS_WITH_VALUE = (
    "--cfg",
    "-c",
    "--package",
    "-p",
    "--config-name",
    "-cn",
    "--config-dir",
    "-cd",
    "--info",
    "-i",
)
_FLAGS = (
    *_FLAGS_WITH_VALUE,
    *("-h", "--help", *MULTIRUN, "-r", "--run", "--resolve", "--hydra-help"),
    *("-sc", "--shell-completion"),
)


def _check_flag(argument: str) -> None:
    """Refuse what Hydra would answer with its own usage."""
    flag, equals, value = argument.partition("=")
    if flag in _FLAGS:
        return
    plain = f"{flag.lstrip('-')}={value if equals else '…'}"
    raise CrackLightningError(
        f"{argument}: no such flag; settings have no dashes, as in {plain}; see --help."
    )


def _is_override(argument: str) -> bool:
    if _exists(argument):
        return False
    return argument.startswith("~") or _OVERRIDE.match(argument) is not None


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # a grid of settings can be longer than a name may be
        return False


def _quoted_override(argument: str, *, sweeps: bool) -> str:
    key, equals, value = argument.partition("=")
    if not _names_a_path(key) or not equals or value in ("", "null"):
        return argument
    if key in LIST_KEYS:
        return f"{key}=[{quoted(value)}]" if not value.startswith("[") or _exists(value) else argument
    if _is_quoted(value):
        return argument
    if not sweeps or key in _ONE_PATH_KEYS or _exists(value):
        return f"{key}={quoted(value)}"
    choices = [text if _PLAIN.fullmatch(text) else quoted(text) for text in value.split(",")]
    return f"{key}={','.join(choices)}"


def _names_a_path(key: str) -> bool:
    """Say whether a key's value is a path, also that of one of ``data.sources``."""
    return re.sub(r"^data[.]sources[.]\w+[.]", "data.", key.lstrip("+")) in PATH_KEYS


def _path_overrides(name: str, paths: list[str]) -> list[str]:
    if not paths:
        return []
    if name == "audit":
        if len(paths) > 1:
            raise CrackLightningError(
                f"audit: expected one folder, got {len(paths)}; audit one after the other."
            )
        return ["data=image_folder", f"data.root={quoted(paths[0])}"]
    if name == "compare":
        return [f"runs=[{','.join(map(quoted, paths))}]"]
    if name != "predict":
        example = "checkpoint=best.ckpt" if name == "evaluate" else "model=resnet18"
        raise CrackLightningError(f"'{paths[0]}': expected key=value, as in {example}; see --help.")
    checkpoints = [path for path in paths if path.endswith(".ckpt")]
    if len(checkpoints) > 1:
        raise CrackLightningError(
            f"checkpoint: expected one, got {', '.join(checkpoints)}; predict with one after the other."
        )
    sources = [path for path in paths if not path.endswith(".ckpt")]
    found = [f"checkpoint={quoted(path)}" for path in checkpoints]
    return found + ([f"source=[{','.join(map(quoted, sources))}]"] if sources else [])


def as_typed(name: str, overrides: Sequence[str]) -> str:
    """Return the line of a shell that gives a command these overrides; a list of paths as plain paths.

    >>> as_typed("train", ["model=resnet18", "data.root='my tiles'"])
    "python -m crack_lightning.train model=resnet18 'data.root=my tiles'"
    >>> as_typed("compare", ["runs=['a sweep',b]"])
    "python -m crack_lightning.compare 'a sweep' b"
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create()
    plain: list[str] = []
    for override in overrides:
        key = override.partition("=")[0]
        value = parser.parse_override(override).value() if _names_a_path(key) else None
        if isinstance(value, list):
            plain += map(str, value)
        else:
            plain.append(override if value is None else f"{key}={value}")
    return shlex.join(["python", "-m", f"crack_lightning.{name}", *plain])


def _is_quoted(value: str) -> bool:
    return len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""


def quoted(value: str) -> str:
    """Return a text, such as a path, as Hydra's grammar takes it."""
    escaped = value.replace("\\'", "\\\\'").replace("'", "\\'")
    if escaped.endswith("\\"):
        escaped += "\\"
    return f"'{escaped}'"
