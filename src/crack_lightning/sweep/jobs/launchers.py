"""Which of Hydra's launchers a sweep was given, and what its jobs have there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from omegaconf import OmegaConf

from crack_lightning.runtime.errors import ConfigError
from crack_lightning.sweep.jobs.worker import CommandRun
from crack_lightning.sweep.resources import Resources, share_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omegaconf import DictConfig

    from crack_lightning.sweep.jobs.worker import Run

HERE = "basic"
"""Hydra's default, with which our own processes run the jobs."""
_JOBLIB = "hydra_plugins.hydra_joblib_launcher"
_NEEDS = {  # by the beginning of a launcher's target: the module that it needs, and the extra that brings it
    "hydra_plugins.hydra_submitit_launcher": ("hydra_plugins.hydra_submitit_launcher", "slurm"),
    _JOBLIB: (_JOBLIB, "joblib"),
    "hydra_plugins.crack_lightning_ray": ("ray", "ray"),
}


@dataclass(frozen=True)
class ChosenLauncher:
    """What ``hydra/launcher=…`` chose.

    Attributes:
        name: The option.
        node: Its settings; references in them are not followed yet.
    """

    name: str
    node: dict[str, Any]

    @property
    def cores(self) -> int | None:
        """The cores that a job reserves: submitit's ``cpus_per_task``, Ray's ``remote.num_cpus``."""
        return self.node.get("cpus_per_task") or (self.node.get("remote") or {}).get("num_cpus")

    def share_out(self, asked: str, configs: Sequence[Mapping[str, Any]]) -> Resources:
        """Say what each job has: on this machine its share, elsewhere what the launcher reserves.

        Args:
            asked: How many jobs at once, ``sweep.jobs``.
            configs: The jobs' configurations.

        Raises:
            ConfigError: If that cannot be.
        """
        if self.node["_target_"].startswith(_JOBLIB):
            return share_out(asked, configs)
        if asked == "auto":
            raise ConfigError(
                f"sweep.jobs: auto counts what this machine has, and hydra/launcher={self.name} runs jobs "
                "elsewhere; give the number of jobs that may be there at once."
            )
        stated = max((config["trainer"]["threads"] or 0 for config in configs), default=0)
        if self.cores and stated > self.cores:
            raise ConfigError(
                f"trainer.threads: {stated} threads are more than the {self.cores} cores that "
                f"hydra/launcher={self.name} reserves for a job; lower it, or reserve more "
                "(hydra.launcher.cpus_per_task, of Ray hydra.launcher.remote.num_cpus)."
            )
        return Resources(environments=[{} for _ in range(int(asked))], threads=self.cores)

    def runs(self, command: str) -> Run:
        """Return what a job's process does here: it has the launcher run the command, and waits."""
        from crack_lightning.sweep.jobs.submission import SubmittedRun

        return SubmittedRun(run=CommandRun(command), command=command, node=self.node)


def chosen_launcher(config: DictConfig, *, pruner: str) -> ChosenLauncher | None:
    """Return the launcher that the command line chose, or ``None`` where jobs are processes of our own.

    Args:
        config: The sweep's configuration, with the ``hydra`` node.
        pruner: What ends poor trials early, ``sweep.pruner``.

    Raises:
        ConfigError: If what it needs is not installed, or the sweep asks what it cannot do.
    """
    name = str(config.hydra.runtime.choices["hydra/launcher"])
    if name == HERE:
        return None
    node = cast("dict[str, Any]", OmegaConf.to_container(config.hydra.launcher, resolve=False))
    if "_target_" not in node:
        raise ConfigError(
            f"hydra/launcher: {name} names no _target_, the launcher's class; begin the option with another "
            "one, as in 'defaults: [slurm, _self_]'."
        )
    for target, (module, extra) in _NEEDS.items():
        if node["_target_"].startswith(target) and find_spec(module) is None:
            raise ConfigError(
                f"hydra/launcher: {name} needs {module.rpartition('.')[2]}, which is not installed; run "
                f"pip install 'crack-lightning[{extra}]', or leave the launcher out."
            )
    if node["_target_"].endswith(".SlurmLauncher") and shutil.which("srun") is None:
        raise ConfigError(
            f"hydra/launcher: {name} needs SLURM, and this machine has no srun; start the sweep where sbatch "
            "and srun are, as on a login node."
        )
    if pruner != "none":
        raise ConfigError(
            f"sweep.pruner: {pruner} has to hear from running jobs, and those of hydra/launcher={name} "
            "tell their end alone; use sweep.pruner=none, or leave the launcher out."
        )
    return ChosenLauncher(name=name, node=node)
