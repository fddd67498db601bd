"""What a sweep leaves on the disk: which jobs keep their weights, and whether there is room for all of it."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

from crack_lightning.errors import CrackLightningError
from crack_lightning.sweep.jobs import job_context
from crack_lightning.sweep.journal import DONE, PRUNED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from crack_lightning.sweep.journal import Job

KEPT_BEST = 5
"""How many jobs keep their weights with ``sweep.keep=best``."""
REPORT_BYTES = 4_000_000
"""What a job leaves beside its weights; report, curves, splits, predictions of 16,000 tiles take 3.2 MB."""
_WHILE_RUNNING = 5
"""Times its weights that a job has on the disk: the best, the last, its two moments and their average."""


class KeptWeights:
    """Removes the weights of ended jobs that need not keep them; reports and predictions stay.

    Args:
        keep: ``best`` for the five best on validation, ``all`` or ``none``.
        jobs: All jobs so far; those that ended before are looked at again.
    """

    def __init__(self, keep: str, jobs: Iterable[Job] = ()) -> None:
        self.keep = keep
        self._kept: list[tuple[tuple[float, ...], int, Path]] = []
        for job in jobs:
            self.ended(job)

    def ended(self, job: Job) -> None:
        """Remove what is not kept now that a job has ended; a failed one may go on from what it has."""
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
        for *_, dropped in self._kept[_kept_jobs(self.keep) :]:
            shutil.rmtree(dropped)
        del self._kept[_kept_jobs(self.keep) :]


def _kept_jobs(keep: str) -> int | None:
    """Return how many jobs keep their weights; ``None`` for all."""
    return {"best": KEPT_BEST, "none": 0, "all": None}[keep]


def _score(job: Job) -> tuple[float, ...]:
    """Return what the best job has most of: its first objective, or else accuracy and then loss."""
    if (objective := job.objective) is not None:
        return (objective,)
    state = json.loads((job.folder / "state.json").read_text(encoding="utf-8"))
    return state["validation"]["val/accuracy"], -state["validation"]["val/loss"]


def expected_bytes(weights: Sequence[int], *, keep: str, at_once: int) -> int:
    """Return what jobs need on the disk at the most: all reports, the kept weights, and the running jobs'.

    Args:
        weights: Bytes of each job's weights.
        keep: ``best``, ``all`` or ``none``.
        at_once: How many run at the same time.

    >>> expected_bytes([8_000_000] * 10, keep="best", at_once=1)
    120000000
    """
    kept = sorted(weights, reverse=True)[: _kept_jobs(keep)]
    running = _WHILE_RUNNING * max(weights, default=0) * at_once
    return REPORT_BYTES * len(weights) + sum(kept) + running


def require_room(expected: int, folder: Path, *, keep: str) -> None:
    """Refuse to start what the disk has no room for.

    Args:
        expected: Bytes.
        folder: Where they will be; need not exist yet.
        keep: ``sweep.keep``, for the advice.

    Raises:
        CrackLightningError: With both sizes.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if expected > free:
        less = {"all": "sweep.keep=best, ", "best": "sweep.keep=none, "}.get(keep, "")
        raise CrackLightningError(
            f"sweep: the jobs need about {in_words(expected)}, and the disk of '{there}' has "
            f"{in_words(free)} free; make room, or set {less}fewer jobs, or outputs=<folder on another disk>."
        )


def in_words(size: int) -> str:
    """Return bytes in the unit that suits them.

    >>> in_words(12_345_678), in_words(3_200_000_000)
    ('12 MB', '3.2 GB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def weights_of_jobs(configs: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the bytes of each job's weights, reckoned in a process that knows torch.

    A network that cannot be built counts nothing here: its job will say why.
    """
    models = [config["model"] for config in configs]
    different = list({repr(model): model for model in models}.values())
    with ProcessPoolExecutor(1, mp_context=job_context()) as pool:
        sizes = pool.submit(_sizes, different).result()
    known = {repr(model): size for model, size in zip(different, sizes, strict=True)}
    return [known[repr(model)] for model in models]


def _sizes(models: Sequence[Mapping[str, Any]]) -> list[int]:
    from crack_lightning.model.heads import network_bytes

    sizes = []
    for model in models:
        try:
            sizes.append(network_bytes(model["name"], head=model["head"], image_size=model["image_size"]))
        except CrackLightningError:
            sizes.append(0)
    return sizes
