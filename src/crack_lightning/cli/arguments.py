"""Conversion between command-line arguments and overrides in Hydra's grammar."""

from __future__ import annotations

import glob
import re
import shlex
from typing import TYPE_CHECKING

from crack_lightning.cli.hydra_quoting import POSITIONAL_KEYS, as_override, exists, literal, typed_values
from crack_lightning.config.commands import COMMANDS
from crack_lightning.runtime.errors import CrackLightningError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MULTIRUN = frozenset({"-m", "--multirun"})
CHECKPOINT_SUFFIXES = (".ckpt", ".pt", ".pth", ".safetensors", ".h5", ".keras", ".onnx", ".tflite")
"""Suffixes of weights files, also of formats that are refused when they are read."""


def hydra_arguments(name: str, arguments: Sequence[str], *, keys: Collection[str] = ()) -> list[str]:
    """Convert command-line arguments to Hydra's, flags before overrides; see :func:`split_arguments`."""
    flags, overrides = split_arguments(name, arguments, keys=keys)
    return [*flags, *overrides]


def split_arguments(
    name: str, arguments: Sequence[str], *, keys: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """Convert command-line arguments to flags and overrides in Hydra's grammar.

    Positional paths become ``checkpoint=`` and ``source=``; paths are quoted; with ``-m`` one by one.
    After ``--`` every argument is a positional path.

    Args:
        name: The command.
        arguments: Its arguments.
        keys: First parts of the command's keys; ``data=x`` is an override even if a file has that name.

    Returns:
        The flags with their values, and the overrides.

    Raises:
        CrackLightningError: For ``--experimental-rerun``, which would execute a file, an unknown flag, an
            empty path, or positional paths that the command does not take.
    """
    flags: list[str] = []
    overrides: list[str] = []
    paths: list[str] = []
    remaining = iter(arguments)
    sweeps = not MULTIRUN.isdisjoint(arguments)
    known = {*keys, "hydra"}
    for argument in remaining:
        if argument.startswith("--experimental-rerun"):
            raise CrackLightningError(f"{argument}: refused, because it runs whatever the file says.")
        if argument == "--":
            paths += remaining
        elif argument.startswith("-") and not _is_dashed_file(argument):
            _check_flag(argument)
            flags.append(argument)
            if argument in _FLAGS_WITH_VALUE:
                flags.append(next(remaining, ""))
        elif _is_override(argument, known, takes_paths=COMMANDS[name].paths is not None):
            overrides.append(as_override(argument, sweeps=sweeps))
        else:
            paths.append(argument)
    if any(override.startswith("resume=") for override in overrides):
        overrides = [_allow_new_key(override) for override in overrides]
    return flags, [*overrides, *_path_overrides(name, paths)]


def _allow_new_key(override: str) -> str:
    """Add ``++`` to keys of ``data.sources``, which Hydra has not composed when a run is resumed."""
    return f"++{override}" if override.startswith("data.sources.") else override


_OVERRIDE = re.compile(r"(?:[+]{0,2}([\w.:/@$-]+)=)|(?:~([\w.:@$-][\w.:/@$-]*)(?:=|\Z))")
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
    """Refuse an unknown flag, for which Hydra would print its own usage."""
    if argument == "-":
        raise CrackLightningError(
            "'-': files, folders or patterns are expected, got the standard input, which is not read; write "
            "what comes from there into a file, and give its path."
        )
    flag, equals, value = argument.partition("=")
    if flag in _FLAGS:
        return
    plain = f"{flag.lstrip('-')}={value if equals else '…'}"
    raise CrackLightningError(
        f"{argument}: no such flag; settings have no dashes, as in {plain}; see --help."
    )


def _is_dashed_file(argument: str) -> bool:
    return argument.partition("=")[0] not in _FLAGS and _matches_file(argument)


def _is_override(argument: str, known: Collection[str], *, takes_paths: bool) -> bool:
    """Return whether an argument is an override, not a path that contains ``=`` or ``~``."""
    if (match := _OVERRIDE.match(argument)) is None:
        return False
    first = re.split(r"[.:/@]", match[1] or match[2], maxsplit=1)[0]
    return not takes_paths or first in known or not _matches_file(argument)


def _matches_file(path: str) -> bool:
    """Return whether a path or pattern matches a file; ``a=b/c`` also if ``a=b`` exists."""
    below = path.find("/", max(path.find("="), 0))
    head = path if below < 1 or "=" not in path else path[:below]
    return exists(path) or bool(glob.glob(head))  # noqa: PTH207  # a pattern may begin with a folder


def _path_overrides(name: str, paths: list[str]) -> list[str]:
    """Return the overrides of positional paths."""
    if not paths:
        return []
    command = COMMANDS[name]
    positional = command.paths
    if positional is None:
        example = command.example.partition(" ")[0]
        raise CrackLightningError(f"'{paths[0]}': expected key=value, as in {example}; see --help.")
    if not positional.several and len(paths) > 1:
        raise CrackLightningError(
            f"{name}: expected one folder, got {len(paths)}; {name} one after the other."
        )
    if not positional.several:
        return [*positional.adds, f"{positional.key}={literal(paths[0])}"]
    checkpoints = [
        path for path in paths if positional.checkpoint and path.lower().endswith(CHECKPOINT_SUFFIXES)
    ]
    if len(checkpoints) > 1:
        raise CrackLightningError(
            f"checkpoint: expected one, got {', '.join(checkpoints)}; {name} with one after the other."
        )
    rest = [path for path in paths if path not in checkpoints]
    path_overrides = [*positional.adds, *(f"checkpoint={literal(path)}" for path in checkpoints)]
    return path_overrides + ([f"{positional.key}=[{','.join(map(literal, rest))}]"] if rest else [])


def shell_line(name: str, overrides: Sequence[str]) -> str:
    """Return the shell command of a command's overrides, lists of paths as positional arguments.

    >>> shell_line("train", ["model=resnet18", "data.root='my tiles'"])
    "python -m crack_lightning.train model=resnet18 'data.root=my tiles'"
    >>> shell_line("compare", ["runs=['a sweep',b]"])
    "python -m crack_lightning.compare 'a sweep' b"
    """
    plain: list[str] = []
    for override in overrides:
        key = override.partition("=")[0]
        values = typed_values(override)
        if values is None or (len(values) != 1 and key not in POSITIONAL_KEYS):
            plain.append(override)
        elif key in POSITIONAL_KEYS:
            plain += (f"./{path}" if path.startswith("-") else path for path in values)
        else:
            plain.append(f"{key}={values[0]}")
    return shlex.join(["python", "-m", f"crack_lightning.{name}", *plain])
