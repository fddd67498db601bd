"""Submission of jobs to a Hydra launcher: SLURM, Ray.

Each job has a local process that submits it and waits for it, which the scheduler treats like any other job
and which dies with the sweep. The job reads and writes its own folder, which both machines must share.
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
from crack_lightning.runtime.files.atomic_write import write_text
from crack_lightning.runtime.files.run_folder import OUTCOME, lock_folder
from crack_lightning.runtime.hardware import limit_omp_spin
from crack_lightning.runtime.processes import raise_on_sigterm
from crack_lightning.sweep.jobs.heartbeat import PATIENCE_S, Heartbeat, watch_heartbeat
from crack_lightning.sweep.jobs.worker import (
    CONSOLE,
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
    """Submits a command's ``run`` to the launcher that ``node`` configures, and waits.

    Without a heartbeat for ``patience_s`` seconds, job and sweep count one another as dead.
    """

    run: Run
    command: str
    node: dict[str, Any]
    patience_s: float = PATIENCE_S

    def __call__(
        self, config: dict[str, Any], *, overrides: Sequence[str], folder: Path, **options: Any
    ) -> int:
        """Submit the job and wait; exit this process with the job's code if it is not 0."""
        folder = folder.resolve()
        on_silent = partial(_fail_silent_job, folder, self.patience_s)
        with Heartbeat(folder, on_silent=on_silent, patience_s=self.patience_s) as lease:
            job = SubmittedJob(
                action=partial(self.run, config, overrides=overrides, folder=folder),
                folder=folder,
                token=lease.token,
                patience_s=self.patience_s,
                working_dir=Path.cwd(),
                module_paths=sys.path,
            )
            signal.signal(signal.SIGTERM, partial(_stop, lease))
            try:
                code, outcome = self._launch(job, folder)
            except Exception as error:  # the launcher's, whose second line has the reason
                reason = " ".join([f"{type(error).__name__}:", *str(error).splitlines()[:2]])
                write_outcome(folder, FAILED, reason, traceback.format_exc())
                raise
        if outcome:
            write_text(folder / OUTCOME, outcome)
        if code:
            sys.exit(code)
        return 0

    def _launch(self, job: SubmittedJob, folder: Path) -> tuple[int, str]:
        register_schemas(self.command)
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
    """Runs a job as planned on the launcher's machine; ignores the configuration that Hydra composes there.

    Attributes:
        action: The job's callable with its arguments.
        folder: The job's folder.
        token: Token of the job's lease.
        patience_s: See :class:`SubmittedRun`.
        working_dir: Working folder of the sweep.
        module_paths: ``sys.path`` of the sweep.
    """

    action: partial[int]
    folder: Path
    token: str
    patience_s: float
    working_dir: Path
    module_paths: list[str]

    def __call__(self, _: DictConfig) -> tuple[int, str]:
        """Run the job; return exit code and outcome text, because a shared disk may show the file late."""
        os.chdir(self.working_dir)
        sys.path += [path for path in self.module_paths if path not in sys.path]
        limit_omp_spin()
        with _output_to(self.folder / CONSOLE):
            try:
                code = run_guarded(lambda: run_and_record(self._run_locked, self.folder))
            except SystemExit as end:
                if end.code != UNWRITABLE:  # submitit's own exit, which requeues the job
                    raise
                code = UNWRITABLE
        with contextlib.suppress(OSError):
            return code, (self.folder / OUTCOME).read_text(encoding="utf-8")
        return code, ""

    def _run_locked(self) -> int:
        with watch_heartbeat(self.folder, self.token, patience_s=self.patience_s), raise_on_sigterm():
            with lock_folder(self.folder, patience_s=2 * self.patience_s):  # an earlier job leaves first
                (self.folder / OUTCOME).unlink(missing_ok=True)
            return self.action()


def _stop(lease: Heartbeat, number: int, _: FrameType | None) -> None:
    """End the lease, so that the job stops; do not wait for a job that is still queued."""
    lease.end()
    if not lease.begun:
        raise Interrupted(number)


def _fail_silent_job(folder: Path, patience_s: float) -> None:
    write_outcome(
        folder,
        FAILED,
        f"sent no heartbeat for {patience_s:.0f} s: killed, or its machine is lost, see {CONSOLE}",
    )
    os._exit(1)


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Redirect output to a file, and back afterwards: a launcher may reuse its process for another job."""
    streams = (sys.stdout, sys.stderr)
    saved = [os.dup(stream.fileno()) for stream in streams]
    redirect_output(path)
    try:
        yield
    finally:
        for stream, handle in zip(streams, saved, strict=True):
            stream.flush()
            os.dup2(handle, stream.fileno())
            os.close(handle)
