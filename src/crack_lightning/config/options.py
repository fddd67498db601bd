"""Where the option files are, and what they set."""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf


def conf_dir() -> Path:
    """Return the folder of option files: inside the installed package, else the checkout's."""
    packaged = Path(__file__).parents[1] / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "conf"


def scratch_rates(name: str) -> set[float]:
    """Return what the options of ``conf/model`` set as ``scratch_lr`` of a network."""
    options = [OmegaConf.to_container(OmegaConf.load(path)) for path in conf_dir().glob("model/*.yaml")]
    return {
        float(option["scratch_lr"])
        for option in options
        if isinstance(option, dict) and option["name"] == name and "scratch_lr" in option
    }
