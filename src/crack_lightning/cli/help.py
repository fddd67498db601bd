"""What ``<command> --help`` prints above the command's keys."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from textwrap import fill
from typing import Any

from omegaconf import OmegaConf

from crack_lightning.config.commands import COMMANDS

_LISTS = {
    "train": ("model=resnet18", "trainer.max_epochs=5"),
    "evaluate": ("data=metu", "trainer.threads=2"),
    "predict": ("trainer=cpu", "trainer.threads=2"),
    "audit": ("data=metu", "trainer.threads=2"),
    "compare": ("", "outputs=comparisons"),
}
"""By command, an example of each list below its usage: of its groups, where it has some, and of its keys."""


def help_heading(command: str, purpose: str, *, schema: type[Any], conf: Path) -> str:
    """Return a command's usage and the options of its groups; Hydra's own listing takes over a second.

    Args:
        command: A primary config's name, such as ``train``.
        purpose: What the command does, in a line.
        schema: The command's dataclass.
        conf: The folder of option files.
    """
    rows = [
        fill(" ".join(options), width=100, initial_indent=f"  {group:<16}", subsequent_indent=" " * 18)
        for group, options in option_groups(command, conf=conf).items()
    ]
    sweeps = "sweep" in {item.name for item in fields(schema)}
    option, setting = _LISTS[command]
    paths = COMMANDS[command].paths
    takes = f"{paths.usage} " if paths else ""
    flags = "[-m] [--cfg job] [--help]" if sweeps else "[--cfg job] [--help]"
    return "\n".join(
        [
            f"usage: crack-lightning {command} {takes}[key=value …] {flags}",
            purpose + ("; -m runs every combination of values given as key=a,b" if sweeps else ""),
            *(["", f"groups, as in {option}:", *rows] if rows else []),
            "",
            f"keys, as in {setting}, with what this command line makes of them; what each means is told in",
            f"{Path(__file__).parents[1] / 'config' / 'nodes'}:",
        ]
    )


def option_groups(command: str, *, conf: Path) -> dict[str, list[str]]:
    """Return the options of each group that a primary config composes."""
    primary = OmegaConf.to_container(OmegaConf.load(conf / f"{command}.yaml"))
    assert isinstance(primary, dict), command
    groups = [str(key) for entry in primary["defaults"] if isinstance(entry, dict) for key in entry]
    found = {group: sorted(path.stem for path in (conf / group).glob("*.yaml")) for group in groups}
    return {group: options for group, options in found.items() if options}
