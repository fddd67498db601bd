"""Folders of a sweep and of its jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.config.hydra_folders import SWEEP_DIR, SWEEP_SUBDIR
from crack_lightning.config.validators import require_free_folder
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.files.paths import expand_user
from crack_lightning.runtime.files.run_folder import ensure_folder
from crack_lightning.sweep.journal import JOURNAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crack_lightning.sweep.job_configs import JobComposer
    from crack_lightning.sweep.journal import Job


def new_folder(chosen: Path | None, base: Path) -> Path:
    """Create the folder of a new sweep: ``hydra.sweep.dir``, or a dated one under ``base``.

    Raises:
        CrackLightningError: If it cannot be created, or holds files.
    """
    if chosen is not None:
        require_free_folder(SWEEP_DIR, chosen)
    return ensure_folder(chosen, base=base, name="")


def job_folder(
    composer: JobComposer, sweep: Path, overrides: Sequence[str], earlier_jobs: Sequence[Job]
) -> Path:
    """Return the folder of the next job: its number, or ``hydra.sweep.subdir``.

    Raises:
        ConfigError: If an earlier job has the same folder.
    """
    subfolder = composer.subfolder(overrides, len(earlier_jobs))
    if subfolder is None:
        return sweep / str(len(earlier_jobs))
    folder = sweep / subfolder
    if taken := [job.number for job in earlier_jobs if job.folder == folder]:
        raise ConfigError(
            f"{SWEEP_SUBDIR}: each job needs a folder of its own, got '{subfolder}' for jobs {taken[0]} and "
            f"{len(earlier_jobs)}; leave it out, or use what differs from job to job."
        )
    return folder


def sweep_folder(resume: str, base: Path, *, chosen: Path | None = None) -> Path:
    """Return the folder of the sweep to resume.

    Args:
        resume: A folder, or ``latest``.
        base: The folder that holds all sweeps.
        chosen: ``hydra.sweep.dir``.

    Raises:
        ConfigError: If there is no such sweep, or ``chosen`` is another folder.
    """
    if chosen is not None:
        resume = str(chosen) if resume == "latest" else expand_user(resume)
        if Path(resume).resolve() != chosen.resolve():
            raise ConfigError(
                f"{SWEEP_DIR}: a resumed sweep stays in its folder '{resume}', got '{chosen}'; leave one out."
            )
    resume = expand_user(resume)
    if resume != "latest":
        if not (Path(resume) / JOURNAL).is_file():
            raise ConfigError(
                f"sweep.resume: there is no sweep in '{resume}' (no {JOURNAL}); give a sweep's folder, "
                "or latest."
            )
        return Path(resume)
    journals = sorted(base.glob(f"*/*/{JOURNAL}"), key=lambda path: path.stat().st_mtime)
    if not journals:
        raise ConfigError(f"sweep.resume: there is no sweep in '{base}' yet; leave it out to start one.")
    return journals[-1].parent
