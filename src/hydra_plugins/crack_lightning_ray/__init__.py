"""Hydra launcher for Ray; imports nothing heavy, because Hydra loads it at every start.

hydra-ray-launcher 1.2.2 requires cloudpickle below 3 and boto3; this plugin requires only Ray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf, open_dict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig


class RayLauncher(Launcher):
    """Runs each job as a task of Ray.

    Args:
        init: Keyword arguments of ``ray.init``.
        remote: Keyword arguments of ``ray.remote``, such as the cores and GPUs that a job reserves.
    """

    def __init__(self, *, init: DictConfig, remote: DictConfig) -> None:
        self.init, self.remote = init, remote

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store the arguments for the jobs."""
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Run jobs and wait for them."""
        import ray

        if not ray.is_initialized():
            ray.init(**_plain(self.init))
        task = ray.remote(**_plain(self.remote))(_run)
        runs = [
            task.remote(self, list(overrides), number, Singleton.get_state())
            for number, overrides in enumerate(job_overrides, initial_job_idx)
        ]
        return cast("list[JobReturn]", ray.get(runs))


def _run(launcher: RayLauncher, overrides: list[str], number: int, state: dict[Any, Any]) -> JobReturn:
    Singleton.set_state(state)
    setup_globals()
    composed = launcher.context.config_loader.load_sweep_config(launcher.config, overrides)
    with open_dict(composed):
        composed.hydra.job.num = number
        composed.hydra.job.id = f"{composed.hydra.job.name}_{number}"
    return run_job(
        task_function=launcher.task,
        config=composed,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
        hydra_context=launcher.context,
    )


def _plain(node: DictConfig) -> dict[str, Any]:
    return cast("dict[str, Any]", OmegaConf.to_container(node, resolve=True))
