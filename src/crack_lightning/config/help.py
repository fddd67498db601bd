"""What ``<command> --help`` prints above the command's keys."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

if TYPE_CHECKING:
    from pathlib import Path


def help_heading(command: str, purpose: str, *, conf: Path) -> str:
    """Return a command's usage and the options of its groups; Hydra's own listing takes over a second.

    Args:
        command: A primary config's name, such as ``train``.
        purpose: What the command does, in a line.
        conf: The folder of option files.
    """
    rows = [
        fill(" ".join(options), width=100, initial_indent=f"  {group:<14}", subsequent_indent=" " * 16)
        for group, options in option_groups(command, conf=conf).items()
    ]
    return "\n".join(
        [
            f"usage: crack-lightning {command} [key=value …] [-m] [--cfg job] [--help]",
            f"{purpose}; -m runs every combination of values given as key=a,b",
            "",
            "groups, as in model=resnet18:",
            *rows,
            "",
            "keys, as in trainer.max_epochs=5, with what this command line makes of them:",
        ]
    )


def option_groups(command: str, *, conf: Path) -> dict[str, list[str]]:
    """Return the options of each group that a primary config composes."""
    primary = OmegaConf.to_container(OmegaConf.load(conf / f"{command}.yaml"))
    assert isinstance(primary, dict), command
    groups = [str(key) for entry in primary["defaults"] if isinstance(entry, dict) for key in entry]
    found = {group: sorted(path.stem for path in (conf / group).glob("*.yaml")) for group in groups}
    return {group: options for group, options in found.items() if options}
