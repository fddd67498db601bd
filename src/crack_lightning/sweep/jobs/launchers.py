"""Hydra launchers of a sweep (``hydra/launcher``), and the resources of their jobs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from omegaconf import OmegaConf

from crack_lightning.runtime.errors import ConfigError
from crack_lightning.sweep.jobs.worker import CommandRun
from crack_lightning.sweep.resources import Resources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omegaconf import DictConfig

    from crack_lightning.sweep.jobs.worker import Run

LOCAL = "basic"
"""Hydra's default launcher, in whose place :mod:`crack_lightning.sweep.scheduler` runs the jobs."""
_REQUIRED = {  # by prefix of a launcher's _target_: the module that it needs, and the extra that installs it
    "hydra_plugins.hydra_submitit_launcher": ("hydra_plugins.hydra_submitit_launcher", "slurm"),
    "hydra_plugins.crack_lightning_ray": ("ray", "ray"),
}


@dataclass(frozen=True)
class ChosenLauncher:
    """A launcher other than Hydra's default.

    Attributes:
        name: The option of ``hydra/launcher``.
        node: Its settings, with unresolved interpolations.
    """

    name: str
    node: dict[str, Any]

    @property
    def cores(self) -> int | None:
        """The cores that a job reserves, of submitit or Ray."""
        return self.node.get("cpus_per_task") or (self.node.get("remote") or {}).get("num_cpus")

    def allocate_resources(self, num_jobs: str, configs: Sequence[Mapping[str, Any]]) -> Resources:
        """Return the resources that the launcher reserves for each of ``num_jobs`` jobs at once.

        Raises:
            ConfigError: If ``num_jobs`` is ``auto``, or a job has more threads than reserved cores.
        """
        if num_jobs == "auto":
            raise ConfigError(
                f"sweep.jobs: auto counts what this machine has, and hydra/launcher={self.name} runs jobs "
                "elsewhere; give the number of jobs that may be there at once."
            )
        max_threads = max((config["trainer"]["threads"] or 0 for config in configs), default=0)
        if self.cores and max_threads > self.cores:
            raise ConfigError(
                f"trainer.threads: {max_threads} threads are more than the {self.cores} cores that "
                f"hydra/launcher={self.name} reserves for a job; lower it, or reserve more "
                "(hydra.launcher.cpus_per_task, of Ray hydra.launcher.remote.num_cpus)."
            )
        return Resources(environments=[{} for _ in range(int(num_jobs))], threads=self.cores)

    def build_run(self, command: str) -> Run:
        """Return the callable of a job's local process: it submits the command and waits for its end."""
        from crack_lightning.sweep.jobs.submission import SubmittedRun

        return SubmittedRun(run=CommandRun(command), command=command, node=self.node)


def chosen_launcher(config: DictConfig, *, pruner: str) -> ChosenLauncher | None:
    """Return the launcher that the command line chose, or ``None`` for Hydra's default.

    Raises:
        ConfigError: If its module or SLURM is not installed, or the sweep needs pruning.
    """
    name = str(config.hydra.runtime.choices["hydra/launcher"])
    if name == LOCAL:
        return None
    node = cast("dict[str, Any]", OmegaConf.to_container(config.hydra.launcher, resolve=False))
    if "_target_" not in node:
        raise ConfigError(
            f"hydra/launcher: {name} has no _target_, the launcher's class; let the option inherit one, as "
            "in 'defaults: [slurm, _self_]'."
        )
    for target, (module, extra) in _REQUIRED.items():
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
            f"sweep.pruner: {pruner} needs metrics of running jobs, and hydra/launcher={name} returns only "
            "their final results; use sweep.pruner=none, or leave the launcher out."
        )
    return ChosenLauncher(name=name, node=node)
