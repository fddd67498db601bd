"""Cores and GPUs of the jobs that run at once."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.hardware import available_cores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Resources of the jobs that run at once.

    Attributes:
        environments: Environment variables that select a job's GPUs; one mapping per slot.
        threads: Compute threads of a job that sets none; ``None`` for every core.
    """

    environments: list[dict[str, str]]
    threads: int | None


def allocate_resources(num_jobs: str, configs: Sequence[Mapping[str, Any]]) -> Resources:
    """Assign cores and GPUs: at most one thread per core, and ``trainer.devices`` GPUs per job.

    Args:
        num_jobs: Number of jobs at once, or ``auto``.
        configs: The jobs' configurations; a single one where the others are not known yet.

    Raises:
        ConfigError: If the machine has too few cores or GPUs for so many jobs.
    """
    trainers = [config["trainer"] for config in configs]
    gpus = [] if all(trainer["accelerator"] == "cpu" for trainer in trainers) else visible_gpus()
    cores = available_cores()
    devices = max((trainer["devices"] or len(gpus) or 1 for trainer in trainers), default=1)
    max_threads = max([1 if gpus else devices, *(trainer["threads"] or 0 for trainer in trainers)])
    number = (
        (len(gpus) // devices if gpus else cores // max_threads) or 1 if num_jobs == "auto" else int(num_jobs)
    )
    if number == 1:
        return Resources(environments=[{}], threads=None)
    if gpus and number * devices > len(gpus):
        each = "a GPU" if devices == 1 else f"{devices} GPUs"
        raise ConfigError(
            f"sweep.jobs: {number} jobs at once need {each} each, and there are {len(gpus)}; use "
            "sweep.jobs=auto, or trainer=cpu."
        )
    if number * max_threads > cores:
        raise ConfigError(
            f"sweep.jobs: {number} jobs at once of {max_threads} threads are more than the {cores} cores; "
            "use sweep.jobs=auto, or lower trainer.threads."
        )
    gpus_per_job = [",".join(gpus[job * devices : (job + 1) * devices]) for job in range(number)]
    environments = [{"CUDA_VISIBLE_DEVICES": names} if names else {} for names in gpus_per_job]
    return Resources(environments=environments, threads=cores // number)


def visible_gpus() -> list[str]:
    """Return the CUDA names of the GPUs that this process may use, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=uuid", "--format=csv,noheader"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    return listing.stdout.split() if listing.returncode == 0 else []
