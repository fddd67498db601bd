"""Jobs that one of Hydra's launchers runs: on SLURM, on Ray, under joblib.

Each has a process here that gives the launcher this one job and waits for it, so that for the sweep it is a
job like any other: at most ``sweep.jobs`` at once, resumed, tried again, its failure written down. A process,
not a thread, for it dies with the sweep, and joblib shares its workers, of which one killed ends all, among
threads. The job itself reads and writes its folder; both machines have to see it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import open_dict

from crack_lightning.cli.main import run_guarded
from crack_lightning.config import conf_dir, register_schemas
from crack_lightning.config.literals import quote
from crack_lightning.runtime.errors import Interrupted
from crack_lightning.runtime.files.run_folder import lock_folder, write_text
from crack_lightning.runtime.hardware import limit_omp_spin
from crack_lightning.runtime.processes import raise_on_sigterm
from crack_lightning.sweep.jobs.heartbeat import PATIENCE_S, Heartbeat, watch_heartbeat
from crack_lightning.sweep.jobs.worker import (
    CONSOLE,
    OUTCOME,
    UNWRITABLE,
    redirect_output,
    run_and_record,
    write_outcome,
)
from crack_lightning.sweep.journal import FAILED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from omegaconf import DictConfig

    from crack_lightning.sweep.jobs.worker import Run


@dataclass(frozen=True, kw_only=True)
class SubmittedRun:
    """Gives a job to a launcher, and waits for it.

    Attributes:
        run: What the job does.
        command: The command whose primary configuration Hydra composes.
        node: The launcher's settings.
        patience_s: Seconds without a sign of life after which job and sweep take one another for dead.
    """

    run: Run
    command: str
    node: dict[str, Any]
    patience_s: float = PATIENCE_S

    def __call__(
        self, config: dict[str, Any], *, overrides: Sequence[str], folder: Path, **options: Any
    ) -> int:
        """Do it; a code other than 0 is this process's."""
        folder = folder.resolve()
        silent = partial(_give_up, folder, self.patience_s)
        with Heartbeat(folder, silent=silent, patience_s=self.patience_s) as lease:
            job = SubmittedJob(
                action=partial(self.run, config, overrides=overrides, folder=folder),
                folder=folder,
                token=lease.token,
                patience_s=self.patience_s,
                started_in=Path.cwd(),
                modules=sys.path,
            )
            signal.signal(signal.SIGTERM, partial(_stop, lease))
            try:
                code, told = self._launch(job, folder)
            except Exception as error:  # the engine's, whose second line says why
                reason = " ".join([f"{type(error).__name__}:", *str(error).splitlines()[:2]])
                write_outcome(folder, FAILED, reason, traceback.format_exc())
                raise
        if told:
            write_text(folder / OUTCOME, told)
        if code:
            sys.exit(code)
        return 0

    def _launch(self, job: SubmittedJob, folder: Path) -> tuple[int, str]:
        register_schemas()
        where = [f"hydra.sweep.dir={quote(str(folder.parent))}", f"hydra.sweep.subdir={quote(folder.name)}"]
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            loader = GlobalHydra.instance().config_loader()
            settings = loader.load_configuration(self.command, overrides=where, run_mode=RunMode.MULTIRUN)
            with open_dict(settings):
                settings.hydra.launcher = self.node
            HydraConfig.instance().set_config(settings)
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
                task_function=job,
                config=settings,
            )
            number = int(folder.name) if folder.name.isdecimal() else 0
            [returned] = launcher.launch([[]], number)
        return cast("tuple[int, str]", returned.return_value)


@dataclass(frozen=True, kw_only=True)
class SubmittedJob:
    """Does a job as it was planned, whatever Hydra composes where it is run.

    Attributes:
        action: What it does.
        folder: The job's.
        token: Of the lease under which it works.
        patience_s: Seconds without a sign of life of the sweep after which it stops.
        started_in: The folder that the sweep was started in.
        modules: Where the sweep finds modules.
    """

    action: partial[int]
    folder: Path
    token: str
    patience_s: float
    started_in: Path
    modules: list[str]

    def __call__(self, _: DictConfig) -> tuple[int, str]:
        """Return the exit code and the job's outcome as it wrote it, which no file system delays."""
        os.chdir(self.started_in)
        sys.path += [path for path in self.modules if path not in sys.path]
        limit_omp_spin()
        with _printed_into(self.folder / CONSOLE):
            try:
                code = run_guarded(lambda: run_and_record(self._alone, self.folder))
            except SystemExit as end:
                if end.code != UNWRITABLE:  # submitit's, which begins the job again elsewhere
                    raise
                code = UNWRITABLE
        with contextlib.suppress(OSError):
            return code, (self.folder / OUTCOME).read_text(encoding="utf-8")
        return code, ""

    def _alone(self) -> int:
        with watch_heartbeat(self.folder, self.token, patience_s=self.patience_s), raise_on_sigterm():
            with lock_folder(self.folder, patience_s=2 * self.patience_s):  # an earlier job leaves first
                (self.folder / OUTCOME).unlink(missing_ok=True)
            return self.action()


def _stop(lease: Heartbeat, number: int, _: FrameType | None) -> None:
    """Ask the job to stop, for which is waited; one that has not begun ends when it does."""
    lease.end()
    if not lease.begun:
        raise Interrupted(number)


def _give_up(folder: Path, patience_s: float) -> None:
    write_outcome(
        folder,
        FAILED,
        f"gave no sign of life for {patience_s:.0f} s: killed, or its machine is lost, see {CONSOLE}",
    )
    os._exit(1)


@contextlib.contextmanager
def _printed_into(path: Path) -> Iterator[None]:
    """Print into a file; an engine's process may go on to another job."""
    streams = (sys.stdout, sys.stderr)
    kept = [os.dup(stream.fileno()) for stream in streams]
    redirect_output(path)
    try:
        yield
    finally:
        for stream, handle in zip(streams, kept, strict=True):
            stream.flush()
            os.dup2(handle, stream.fileno())
            os.close(handle)
