"""Retention of weights, and the disk space of a sweep."""

from __future__ import annotations

import shutil
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

from crack_lightning.runtime.errors import CrackLightningError
from crack_lightning.sweep.jobs.job_files import read_validation
from crack_lightning.sweep.jobs.worker import job_context
from crack_lightning.sweep.journal import DONE, PRUNED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from crack_lightning.sweep.journal import Job

KEPT_BEST = 5
"""Number of jobs whose weights ``sweep.keep=best`` keeps."""
REPORT_BYTES = 4_000_000
"""Bytes of a job without its weights; report, curves, splits, predictions of 16,000 tiles take 3.2 MB."""
_WHILE_RUNNING = 5
"""Copies of its weights that a running job has on the disk: best, last, two moments, moving average."""


class WeightRetention:
    """Removes the weights of ended jobs by ``sweep.keep``; reports and predictions stay."""

    def __init__(self, keep: str, jobs: Iterable[Job] = ()) -> None:
        self.keep = keep
        self._kept: list[tuple[tuple[float, ...], int, Path]] = []
        for job in jobs:
            self.ended(job)

    def ended(self, job: Job) -> None:
        """Remove weights that are no longer kept once a job has ended; failed jobs keep theirs to resume."""
        folder = job.folder / "checkpoints"
        if not job.ended or not folder.exists():
            return
        if self.keep == "all":
            if job.state == PRUNED:
                (folder / "last.ckpt").unlink(missing_ok=True)
            return
        if job.state == DONE:
            self._kept.append((_score(job), -job.number, folder))
            self._kept.sort(reverse=True)
        else:
            shutil.rmtree(folder)
        for *_, checkpoint_dir in self._kept[_kept_jobs(self.keep) :]:
            shutil.rmtree(checkpoint_dir)
        del self._kept[_kept_jobs(self.keep) :]


def _kept_jobs(keep: str) -> int | None:
    """Return the number of jobs whose weights are kept; ``None`` for all."""
    return {"best": KEPT_BEST, "none": 0, "all": None}[keep]


def _score(job: Job) -> tuple[float, ...]:
    """Return the score of a job, higher is better: its first objective, else validation accuracy and loss."""
    if (objective := job.objective) is not None:
        return (objective,)
    validation = read_validation(job.folder)
    return validation["val/accuracy"], -validation["val/loss"]


def expected_bytes(weights: Sequence[int], *, keep: str, at_once: int) -> int:
    """Return the peak disk space of jobs: all reports, the kept weights, and those of running jobs.

    Args:
        weights: Bytes of each job's weights.
        keep: ``best``, ``all`` or ``none``.
        at_once: Number of jobs that run at the same time.

    >>> expected_bytes([8_000_000] * 10, keep="best", at_once=1)
    120000000
    """
    kept = sorted(weights, reverse=True)[: _kept_jobs(keep)]
    running = _WHILE_RUNNING * max(weights, default=0) * at_once
    return REPORT_BYTES * len(weights) + sum(kept) + running


def check_disk_space(expected: int, folder: Path, *, keep: str) -> None:
    """Raise if ``expected`` bytes exceed the free disk space of a folder, which need not exist."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if expected > free:
        less = {"all": "sweep.keep=best, ", "best": "sweep.keep=none, "}.get(keep, "")
        raise CrackLightningError(
            f"sweep: the jobs need about {format_bytes(expected)}, and the disk of '{there}' has "
            f"{format_bytes(free)} free; make room, or set {less}fewer jobs, or "
            "outputs=<folder on another disk>."
        )


def format_bytes(size: int) -> str:
    """Format a number of bytes with a unit.

    >>> format_bytes(12_345_678), format_bytes(3_200_000_000)
    ('12 MB', '3.2 GB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def weight_bytes(configs: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the bytes of each job's weights, computed in a process that imports torch.

    A network that cannot be built counts as 0; its job fails with the reason.
    """
    models = [config["model"] for config in configs]
    different = list({repr(model): model for model in models}.values())
    with ProcessPoolExecutor(1, mp_context=job_context()) as pool:
        sizes = pool.submit(_sizes, different).result()
    size_by_model = {repr(model): size for model, size in zip(different, sizes, strict=True)}
    return [size_by_model[repr(model)] for model in models]


def _sizes(models: Sequence[Mapping[str, Any]]) -> list[int]:
    from crack_lightning.model.heads.registry import network_bytes

    sizes = []
    for model in models:
        try:
            sizes.append(network_bytes(model["name"], head=model["head"], image_size=model["image_size"]))
        except CrackLightningError:
            sizes.append(0)
    return sizes
