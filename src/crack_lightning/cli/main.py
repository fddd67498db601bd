"""Entry point and error boundary: imports a command by name and prints one sentence for a mistake."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from dataclasses import fields
from typing import TYPE_CHECKING, Any, cast

from crack_lightning.cli.arguments import MULTIRUN, hydra_arguments, split_arguments
from crack_lightning.config.commands import COMMANDS
from crack_lightning.runtime.console import escape_unencodable_text, printable
from crack_lightning.runtime.errors import (
    CrackLightningError,
    FailedJobsError,
    Interrupted,
    is_disk_full,
    nearest,
)
from crack_lightning.runtime.hardware import limit_omp_spin
from crack_lightning.runtime.memory import out_of_memory_cause, out_of_memory_message

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from omegaconf import DictConfig

    from crack_lightning.config.nodes.sweep import SweepConfig

HELP = frozenset({"-h", "--help"})
OK, BUG, MISTAKE, FAILED_JOBS = 0, 1, 2, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: The command's name and its overrides; the process's own by default.

    Returns:
        0 done · 1 our bug · 2 the user's mistake · 3 a sweep with failed jobs · 130 or 143 interrupted.
    """
    limit_omp_spin()
    escape_unencodable_text()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in HELP:
        print(_usage())
        return OK if arguments else MISTAKE
    name, *rest = arguments
    if "--version" in arguments:
        from crack_lightning import __version__

        print(__version__)
        return OK
    return run_guarded(lambda: _dispatch(name, rest))


def run_guarded(action: Callable[[], int]) -> int:
    """Run an action; print one sentence for a mistake and a traceback for a bug.

    Returns:
        The action's own exit code, or the code of what went wrong.
    """
    try:
        return action()
    except CrackLightningError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return FAILED_JOBS if isinstance(error, FailedJobsError) else MISTAKE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return 128 + stop.signal_number
    except Exception as error:  # noqa: BLE001  # the boundary: whatever else arrives here is ours
        if sentence := _resource_error(error):
            print(f"error: {sentence}", file=sys.stderr)
            return MISTAKE
        traceback.print_exc()
        print(
            "error: this is a bug in crack_lightning; please report it with the text above.",
            file=sys.stderr,
        )
        return BUG


def _resource_error(error: Exception) -> str | None:
    """Return a sentence for a full disk or out-of-memory error, ``None`` for another one."""
    if is_disk_full(error):
        return f"outputs: {_disk_full_message(cast('OSError', error))}"
    if cause := out_of_memory_cause(error):
        lower = "close other programs, or lower data.batch_size, data.num_workers or model.image_size."
        return out_of_memory_message(cause, lower)
    return None


def _disk_full_message(error: OSError) -> str:
    what = f"'{error.filename}'" if error.filename else "a file"
    return (
        f"cannot write {what} ({error.strerror}); make room and continue with train resume=<folder>, "
        "or set outputs=<folder on another disk>."
    )


def _dispatch(name: str, arguments: list[str]) -> int:
    if name not in COMMANDS:
        match = nearest(name, COMMANDS)
        hint = f"did you mean {match}?" if match else f"expected one of {', '.join(COMMANDS)}."
        raise CrackLightningError(f"no command '{name}'; {hint}")
    command = importlib.import_module(f"crack_lightning.{name}")
    if (schema := COMMANDS[name].schema) is None:
        return int(command.run(arguments))
    return _run_with_hydra(name, command, arguments, schema=schema)


def _run_with_hydra(name: str, command: Any, arguments: list[str], *, schema: type[Any]) -> int:
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from crack_lightning.config import conf_dir, register_schemas
    from crack_lightning.config.conf_files import option_groups
    from crack_lightning.config.error_messages import explain_error, require_options

    os.environ["HYDRA_FULL_ERROR"] = "1"
    register_schemas(name)
    outcome: list[int | BaseException] = []

    def task(composed: DictConfig) -> None:
        try:
            outcome.append(_run_composed(command, composed))
        except BaseException as error:  # noqa: BLE001  # Hydra would print a line of its own
            outcome.append(error)

    groups = option_groups(name)
    keys = {*groups, *(item.name for item in fields(schema))}
    try:
        if (shown := _requested_help(name, arguments, keys=keys)) is not None:
            print(shown)
            return OK
        given = hydra_arguments(name, arguments, keys=keys)
        if not MULTIRUN.isdisjoint(given) and not {"--cfg", "-c", "--info", "-i"}.isdisjoint(given):
            raise CrackLightningError("-m: --cfg and --info show one configuration; leave -m out.")
        sys.argv = [f"crack-lightning {name}", *given]
        require_options(given, groups)
        hydra.main(config_path=str(conf_dir()), config_name=name, version_base="1.3")(task)()
    except (HydraException, OmegaConfBaseException) as error:
        raise CrackLightningError(explain_error(error, schema=schema, conf=conf_dir())) from error
    ended = outcome[0] if outcome else OK
    if isinstance(ended, BaseException):
        raise ended
    return ended


def _requested_help(name: str, arguments: list[str], *, keys: Collection[str]) -> str | None:
    """Return the help that the arguments request, or ``None``."""
    requested = [argument.removesuffix("=?") for argument in arguments if argument.endswith("=?")]
    if not requested and HELP.isdisjoint(arguments):
        return None
    from crack_lightning.cli.help import command_help, help_topics, options_help, topic_help
    from crack_lightning.config.conf_files import option_purposes

    topics = help_topics(name)
    if known := [topic for topic in requested if topic in topics and option_purposes(topic)]:
        return "\n\n".join(map(options_help, known))
    if HELP.isdisjoint(arguments):
        return None
    chosen = [argument for argument in arguments if argument in topics]
    rest = [argument for argument in arguments if argument not in HELP.union(MULTIRUN, chosen)]
    _, overrides = split_arguments(name, rest, keys=keys)
    if chosen:
        return "\n\n".join(topic_help(name, topic, overrides) for topic in chosen)
    return command_help(name, overrides)


def _run_composed(command: Any, composed: DictConfig) -> int:
    """Run a command once as Hydra composed it; refuse settings that only a sweep reads."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from crack_lightning.config.hydra_folders import chosen_run_folder

    if "sweep" in composed:
        launcher = str(HydraConfig.get().runtime.choices["hydra/launcher"])
        cast("SweepConfig", OmegaConf.to_object(composed.sweep)).require_sweep(launcher=launcher)
    hydra = HydraConfig.get()
    folder = chosen_run_folder(
        cast("DictConfig", hydra), resume=OmegaConf.select(composed, "resume", default=None)
    )
    typed = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    return int(command.run(composed, overrides=typed, folder=folder))


def _usage() -> str:
    lines = [f"  {name:<10}{entry.purpose}" for name, entry in COMMANDS.items()]
    return "\n".join(
        [
            "usage: crack-lightning <command> [key=value …]",
            "",
            "commands:",
            *lines,
            "",
            "<command> --help explains its keys.",
        ]
    )
