"""The one error boundary: finds a command by name, imports it then, and turns mistakes into sentences."""

from __future__ import annotations

import errno
import importlib
import os
import re
import shlex
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from crack_lightning.errors import CrackLightningError, FailedJobsError, Interrupted, nearest
from crack_lightning.hardware import share_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omegaconf import DictConfig

    from crack_lightning.config.sweep import SweepConfig

COMMANDS = {
    "train": "fit a model, test its best checkpoint, write the report",
    "evaluate": "report on a checkpoint over another set",
    "predict": "say what a checkpoint sees in files",
    "audit": "find twins, wrong labels and odd files in a set of tiles",
    "compare": "put finished runs side by side, and say whether they differ",
    "cache": "list what is kept between runs; 'cache clear' empties it",
}
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
HELP = frozenset({"-h", "--help"})
OK, BUG, MISTAKE, FAILED_JOBS = 0, 1, 2, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: The command's name and its overrides; the process's own by default.

    Returns:
        0 done · 1 our bug · 2 the user's mistake · 3 a sweep with failed jobs · 130 or 143 interrupted.
    """
    share_cores()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in HELP:
        print(_usage())
        return OK if arguments else MISTAKE
    name, *rest = arguments
    if name == "--version":
        from crack_lightning import __version__

        print(__version__)
        return OK
    return guarded(lambda: _dispatch(name, rest))


def guarded(action: Callable[[], int]) -> int:
    """Run an action; print one sentence for a mistake and a traceback for a bug.

    Returns:
        The action's own exit code, or the code of what went wrong.
    """
    try:
        return action()
    except CrackLightningError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED_JOBS if isinstance(error, FailedJobsError) else MISTAKE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return 128 + stop.signal_number
    except Exception as error:  # noqa: BLE001  # the boundary: whatever else arrives here is ours
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            print(f"error: outputs: {_no_room(error)}", file=sys.stderr)
            return MISTAKE
        traceback.print_exc()
        print(
            "error: this is a fault of crack_lightning; please report it with the text above.",
            file=sys.stderr,
        )
        return BUG


def _no_room(error: OSError) -> str:
    what = f"'{error.filename}'" if error.filename else "a file"
    return (
        f"cannot write {what} ({error.strerror}); make room and go on with train resume=<the run's folder>, "
        "or set outputs=<folder on another disk>."
    )


def _dispatch(name: str, arguments: list[str]) -> int:
    if name not in COMMANDS:
        match = nearest(name, COMMANDS)
        hint = f"did you mean {match}?" if match else f"expected one of {', '.join(COMMANDS)}."
        raise CrackLightningError(f"no command '{name}'; {hint}")
    command = importlib.import_module(f"crack_lightning.{name}")
    if not hasattr(command, "SCHEMA"):
        return int(command.run(arguments))
    return _run_with_hydra(name, command, arguments)


def _run_with_hydra(name: str, command: Any, arguments: list[str]) -> int:
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from crack_lightning.config import conf_dir, register_schemas
    from crack_lightning.config.help import help_heading
    from crack_lightning.config.suggest import explain

    os.environ["HYDRA_FULL_ERROR"] = "1"
    register_schemas()
    outcome: list[int | BaseException] = []

    def task(composed: DictConfig) -> None:
        try:
            if "sweep" in composed:
                launcher = str(HydraConfig.get().runtime.choices["hydra/launcher"])
                cast("SweepConfig", OmegaConf.to_object(composed.sweep)).require_sweep(launcher=launcher)
            outcome.append(command.run(composed, overrides=list(HydraConfig.get().overrides.task)))
        except BaseException as error:  # noqa: BLE001  # Hydra would print a line of its own
            outcome.append(error)

    given = hydra_arguments(name, arguments)
    if not HELP.isdisjoint(given):
        print(help_heading(name, COMMANDS[name], conf=conf_dir()))
        given = ["--cfg", "job", *(argument for argument in given if argument not in HELP)]
    sys.argv = [f"crack-lightning {name}", *given]
    try:
        hydra.main(config_path=str(conf_dir()), config_name=name, version_base="1.3")(task)()
    except (HydraException, OmegaConfBaseException) as error:
        raise CrackLightningError(explain(error, schema=command.SCHEMA, conf=conf_dir())) from error
    ended = outcome[0] if outcome else OK
    if isinstance(ended, BaseException):
        raise ended
    return ended


def hydra_arguments(name: str, arguments: Sequence[str]) -> list[str]:
    """Turn what a person types into what Hydra's grammar takes.

    Flags move before overrides; plain paths become ``checkpoint=`` and ``source=``; paths are quoted.

    Args:
        name: The command.
        arguments: Its arguments.

    Returns:
        The arguments for Hydra.

    Raises:
        CrackLightningError: For ``--experimental-rerun``, which would run what a file says.
    """
    flags: list[str] = []
    overrides: list[str] = []
    paths: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument.startswith("--experimental-rerun"):
            raise CrackLightningError(f"{argument}: refused, because it runs whatever the file says.")
        if argument.startswith("-"):
            flags.append(argument)
            if argument in _FLAGS_WITH_VALUE:
                flags.append(next(waiting, ""))
        elif _is_override(argument):
            overrides.append(_quoted_override(argument))
        else:
            paths.append(argument)
    return [*flags, *overrides, *_path_overrides(name, paths)]


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


def _is_override(argument: str) -> bool:
    if _exists(argument):
        return False
    return argument.startswith("~") or _OVERRIDE.match(argument) is not None


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # a grid of settings can be longer than a name may be
        return False


def _quoted_override(argument: str) -> str:
    key, equals, value = argument.partition("=")
    if not _names_a_path(key) or not equals or value in ("", "null"):
        return argument
    if key in LIST_KEYS:
        return f"{key}=[{quoted(value)}]" if not value.startswith("[") or _exists(value) else argument
    return f"{key}={quoted(value)}" if not _is_quoted(value) else argument


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
        raise CrackLightningError(f"'{paths[0]}': expected key=value, as in model=resnet18; see --help.")
    checkpoints = [path for path in paths if path.endswith(".ckpt")]
    sources = [path for path in paths if not path.endswith(".ckpt")]
    found = [f"checkpoint={quoted(path)}" for path in checkpoints[:1]]
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


def _usage() -> str:
    lines = [f"  {name:<10}{purpose}" for name, purpose in COMMANDS.items()]
    return "\n".join(
        [
            "usage: crack-lightning <command> [key=value …]",
            "",
            "commands:",
            *lines,
            "",
            "<command> --help lists its keys.",
        ]
    )
