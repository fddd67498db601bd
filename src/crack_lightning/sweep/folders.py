"""Where a sweep and its jobs write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.config.hydra_folders import SWEEP_DIR, SWEEP_SUBDIR
from crack_lightning.config.validators import require_free_folder
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.files.paths import expanded
from crack_lightning.runtime.files.run_folder import made_folder
from crack_lightning.sweep.journal import JOURNAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crack_lightning.sweep.job_configs import JobComposer
    from crack_lightning.sweep.journal import Job


def new_folder(chosen: Path | None, base: Path) -> Path:
    """Make the folder of a new sweep: ``hydra.sweep.dir``, or one under ``base``.

    Raises:
        CrackLightningError: If it cannot be made, or holds files.
    """
    if chosen is not None:
        require_free_folder(SWEEP_DIR, chosen)
    return made_folder(chosen, base=base, name="")


def job_folder(composer: JobComposer, sweep: Path, overrides: Sequence[str], before: Sequence[Job]) -> Path:
    """Return the folder of the next job: its number, or ``hydra.sweep.subdir``.

    Args:
        composer: The sweep's.
        sweep: The sweep's folder.
        overrides: The job's.
        before: The jobs before it, whose folders it cannot have.

    Raises:
        ConfigError: If it is that of another job.
    """
    subfolder = composer.subfolder(overrides, len(before))
    if subfolder is None:
        return sweep / str(len(before))
    folder = sweep / subfolder
    if taken := [job.number for job in before if job.folder == folder]:
        raise ConfigError(
            f"{SWEEP_SUBDIR}: each job needs a folder of its own, and '{subfolder}' is that of jobs "
            f"{taken[0]} and {len(before)}; leave it out, or use what differs from job to job."
        )
    return folder


def sweep_folder(resume: str, base: Path, *, chosen: Path | None = None) -> Path:
    """Return the folder of the sweep that is to go on.

    Args:
        resume: A folder, or ``latest``.
        base: The folder of all sweeps, where the latest is looked for.
        chosen: The only folder that it may be, ``hydra.sweep.dir``.

    Raises:
        ConfigError: If there is none, or it is another one.
    """
    if chosen is not None:
        resume = str(chosen) if resume == "latest" else expanded(resume)
        if Path(resume).resolve() != chosen.resolve():
            raise ConfigError(
                f"{SWEEP_DIR}: a resumed sweep stays in its folder '{resume}', got '{chosen}'; leave one out."
            )
    resume = expanded(resume)
    if resume != "latest":
        if not (Path(resume) / JOURNAL).is_file():
            raise ConfigError(
                f"sweep.resume: there is no sweep in '{resume}' (no {JOURNAL}); give a sweep's folder, "
                "or latest."
            )
        return Path(resume)
    found = sorted(base.glob(f"*/*/{JOURNAL}"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ConfigError(f"sweep.resume: there is no sweep in '{base}' yet; leave it out to start one.")
    return found[-1].parent
