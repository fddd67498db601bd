"""Option files: their folder, their groups and the first line of each."""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

_HEADER = "# @package"


def conf_dir() -> Path:
    """Return the folder of option files: inside the installed package, else the checkout's."""
    packaged = Path(__file__).parents[1] / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "conf"


def option_groups(command: str) -> dict[str, list[str]]:
    """Return the options of each group that a command's primary config composes."""
    primary = OmegaConf.to_container(OmegaConf.load(conf_dir() / f"{command}.yaml"))
    assert isinstance(primary, dict), command
    groups = [str(key) for entry in primary["defaults"] if isinstance(entry, dict) for key in entry]
    files = {group: sorted(path.stem for path in (conf_dir() / group).glob("*.yaml")) for group in groups}
    return {group: options for group, options in files.items() if options}


def option_purposes(group: str) -> dict[str, str]:
    """Return the first line of comment in each option file of a group, by the option's name."""
    purposes = {}
    for path in sorted((conf_dir() / group).glob("*.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        first = next(line for line in lines if not line.startswith(_HEADER))
        purposes[path.stem] = first.removeprefix("# ")
    return purposes
