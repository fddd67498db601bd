"""Output folders chosen by ``hydra.run.dir`` (a run) and ``hydra.sweep.dir`` (a sweep)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import OmegaConf, open_dict, read_write

from crack_lightning.config.validators import require_free_folder
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.files.paths import expand_user

if TYPE_CHECKING:
    from omegaconf import DictConfig

RUN_DIR, SWEEP_DIR, SWEEP_SUBDIR = "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"
_NO_FOLDER = "."
"""Value in ``conf/hydra_crack.yaml`` where the user chose no folder, so that Hydra creates none."""
_BY_NUMBER = "${hydra.job.num}"
_CHOSEN = "chosen_dir"


class LeaveRunFolder(Callback):
    """Hydra callback that leaves creating ``hydra.run.dir`` to the command, after its checks."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Store the chosen folder for :func:`chosen_run_folder`, and reset ``hydra.run.dir``."""
        node = config.hydra.run
        with read_write(config), open_dict(node):
            node[_CHOSEN] = str(node.dir) if is_chosen(config.hydra, RUN_DIR) else None
            node.dir = _NO_FOLDER


def chosen_run_folder(hydra: DictConfig, *, resume: str | None) -> Path | None:
    """Return the folder of a run that ``hydra.run.dir`` sets; ``None`` if it is not set.

    Args:
        hydra: The ``hydra`` node of a run's configuration.
        resume: Folder of a resumed run, which must be the same.

    Raises:
        ConfigError: If the folder is not empty, or a setting of Hydra would have no effect.
    """
    chosen = hydra.run.get(_CHOSEN)
    unread = [key for key in (SWEEP_DIR, SWEEP_SUBDIR) if is_chosen(hydra, key)]
    _require_read(hydra, unread, by="a run without -m", named=chosen is not None)
    if chosen is None:
        return None
    folder = Path(expand_user(chosen))
    if resume is None:
        require_free_folder(RUN_DIR, folder)
    elif folder.resolve() != Path(expand_user(resume)).resolve():
        raise ConfigError(
            f"{RUN_DIR}: a resumed run stays in its folder '{resume}', got '{folder}'; leave {RUN_DIR} out."
        )
    return folder


def chosen_sweep_folder(hydra: DictConfig) -> Path | None:
    """Return the folder of a sweep that ``hydra.sweep.dir`` sets; ``None`` if it is not set.

    Raises:
        ConfigError: If a setting of Hydra would have no effect.
    """
    chosen = is_chosen(hydra, SWEEP_DIR)
    named = chosen or is_chosen(hydra, SWEEP_SUBDIR)
    _require_read(hydra, [RUN_DIR] if is_chosen(hydra, RUN_DIR) else [], by="a sweep (-m)", named=named)
    return Path(expand_user(str(hydra.sweep.dir))) if chosen else None


def job_subfolder(hydra: DictConfig, number: int) -> str:
    """Return ``hydra.sweep.subdir`` of a job, resolved in its configuration; its number by default.

    Raises:
        ConfigError: If that leads out of the sweep's folder.
    """
    with read_write(hydra), open_dict(hydra):
        hydra.job.num, hydra.job.id = number, f"{hydra.job.name}_{number}"
    subfolder = str(hydra.sweep.subdir)
    if Path(subfolder).is_absolute() or not {"..", ""}.isdisjoint(subfolder.split("/")):
        raise ConfigError(
            f"{SWEEP_SUBDIR}: a folder within the sweep's is expected, got '{subfolder}'; leave it out, or "
            "use what differs from job to job, as in seed_${seed}."
        )
    return subfolder


def is_chosen(hydra: DictConfig, key: str) -> bool:
    """Return whether the user chose a folder, on the command line or in an option file."""
    _, node, name = key.split(".")
    return key in _typed_keys(hydra) or _plain(hydra[node])[name] not in (_NO_FOLDER, _BY_NUMBER)


def _require_read(hydra: DictConfig, unread: list[str], *, by: str, named: bool) -> None:
    problems = [f"{key}: {by} does not read it; leave it out." for key in unread]
    if hydra.job.chdir:
        problems.append(
            "hydra.job.chdir: commands stay in the folder that they are started in; leave it out."
        )
    if hydra.output_subdir is not None:
        problems.append("hydra.output_subdir: a run's folder has its settings in config.yaml; leave it out.")
    if "hydra.job.name" in _typed_keys(hydra) and not named:
        problems.append(
            "hydra.job.name: it names a folder only as part of another key, as in "
            "hydra.run.dir=outputs/${hydra.job.name}; set that, or leave it out."
        )
    if problems:
        raise ConfigError("\n".join(problems))


def _typed_keys(hydra: DictConfig) -> set[str]:
    return {str(override).lstrip("+").partition("=")[0] for override in _plain(hydra.overrides.hydra)}


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=False)
