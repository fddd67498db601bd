"""Training end to end by Lightning: in this process, or by DDP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_lightning.utilities import rank_zero_only

from crack_lightning.experiment import factory
from crack_lightning.experiment.loggers import tensorboard_loggers
from crack_lightning.experiment.trainers import (
    build_test_trainer,
    build_trainer,
    shows_progress,
)
from crack_lightning.model.backbones import synchronised
from crack_lightning.model.weights.checkpoints import load_classifier, read_checkpoint
from crack_lightning.runtime.errors import CheckpointError, ConfigError, CrackLightningError, DataError
from crack_lightning.runtime.hardware import configure_process, require_compiler
from crack_lightning.runtime.plugins import import_plugins
from crack_lightning.training.callbacks import BroadcastBuffers, FiniteLoss, Pruning, StepSeeds
from crack_lightning.training.checkpoints import RunCheckpoints, saved_model
from crack_lightning.training.ddp_launcher import launch_ddp
from crack_lightning.training.hosts import find_hosts, received_task, send_task
from crack_lightning.training.stop_signals import StopSignals
from crack_lightning.training.warning_filters import filter_warnings

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytorch_lightning as pl

    from crack_lightning.config import TrainConfig
    from crack_lightning.data.datamodule import CrackDataModule
    from crack_lightning.data.table import TileTable
    from crack_lightning.model.classifier import CrackClassifier
    from crack_lightning.runtime.hardware import HardwarePlan
    from crack_lightning.training.ddp_worker import Worker
    from crack_lightning.training.hosts import Hosts, HostStore
    from crack_lightning.training.stop_signals import StopRequest

    History = list[dict[str, float]]
    Report = Callable[[float, dict[str, float]], bool]


class SingleProcessFit:
    """Lightning's Trainer of a run in this process; it resumes from the last checkpoint if there is one.

    Args:
        config: The run's settings.
        datamodule: Its tiles.
        folder: Its folder.
        plan: The hardware plan; with several devices this process is one DDP worker.
        requests: Signals that request a stop.
        report: Called with the validation figures after each epoch; returns whether to end the run.
    """

    def __init__(
        self,
        config: TrainConfig,
        datamodule: CrackDataModule,
        *,
        folder: Path,
        plan: HardwarePlan,
        requests: StopRequest,
        report: Report | None,
    ) -> None:
        self.datamodule = datamodule
        self.compile = config.trainer.compile
        self.checkpoints = RunCheckpoints(
            folder / "checkpoints",
            monitor=config.trainer.monitor,
            every_s=config.trainer.checkpoint_every,
            requests=requests,
        )
        last = self.checkpoints.last_path
        self.resume_path = last if last.exists() else None
        self.trainer: pl.Trainer = build_trainer(
            config,
            folder=folder,
            plan=plan,
            callbacks=[
                StepSeeds(config.seed),
                FiniteLoss(datamodule.table.path),
                *([BroadcastBuffers()] if plan.processes > 1 else []),
                self.checkpoints,
                *([Pruning(report)] if report else []),
            ],
            purge_step=None if self.resume_path is None else int(read_checkpoint(last)["global_step"]),
        )

    def fit(self, classifier: CrackClassifier) -> History:
        """Train, and return the metrics of each epoch."""
        if self.compile:
            require_compiler()
            classifier.compile_step()
        classifier.train()  # Lightning keeps the mode, and features were computed in evaluation mode
        try:
            self.trainer.fit(
                classifier,
                datamodule=self.datamodule,
                ckpt_path=None if self.resume_path is None else str(self.resume_path),
            )
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            if self.resume_path is None or self.checkpoints.began or isinstance(error, CrackLightningError):
                raise
            raise CheckpointError(
                f"resume: '{self.resume_path}' does not fit its run ({type(error).__name__}: {error}); "
                "start a new run."
            ) from error
        return self.checkpoints.history


@dataclass(frozen=True, kw_only=True)
class _WorkerTask:
    config: TrainConfig
    table: TileTable
    folder: Path
    plan: HardwarePlan
    start: Path


class DDPFit:
    """Training by as many processes as the plan has devices on all hosts; this process alone tests.

    Together they take the steps of one process: a batch is split among them, every validation tile is used
    once, gradients are averaged. BatchNorm (without ``trainer.sync_batchnorm``), class weights and MixUp use
    the process's share of the batch. Arguments are as for :class:`SingleProcessFit`.
    """

    def __init__(
        self,
        config: TrainConfig,
        datamodule: CrackDataModule,
        *,
        folder: Path,
        plan: HardwarePlan,
        requests: StopSignals,
        report: Report | None,
        store: HostStore | None = None,
    ) -> None:
        self.config, self.table, self.folder, self.plan = config, datamodule.table, folder, plan
        self.requests, self.report, self.store = requests, report, store
        self.trainer = build_test_trainer(
            folder,
            plan=plan,
            progress=shows_progress(config),
            logger=tensorboard_loggers(config),
            plugins=config.plugins,
        )

    def fit(self, classifier: CrackClassifier) -> History:
        """Train, and return the metrics of each epoch.

        Raises:
            DataError: If a split has fewer tiles than there are processes.
        """
        plan = self.plan
        for split in ("train", "val"):
            if (number := len(self.table.rows(split))) < plan.processes:
                raise DataError(
                    f"trainer.devices: {plan.processes} processes need a tile each, and {number} are in the "
                    f"split '{split}'; set trainer.devices=1, or give more tiles."
                )
        with saved_model(self.folder / "checkpoints" / ".start.part", classifier) as start:
            task = _WorkerTask(
                config=self.config,
                table=replace(self.table, root=self.table.root.absolute()),
                folder=self.folder.absolute(),
                plan=plan,
                start=start.absolute(),
            )
            if self.store is not None:
                send_task(self.store, task)
            return _launch(task, requests=self.requests, report=self.report, hosts=find_hosts(plan.nodes))


def _launch(
    task: _WorkerTask, *, requests: StopSignals, report: Report | None = None, hosts: Hosts | None
) -> History:
    plan = task.plan
    return launch_ddp(
        partial(_fit_in_worker, task),
        total=plan.devices,
        gpus=plan.accelerator == "gpu",
        threads=max(1, plan.threads // plan.devices),
        log=task.folder / "run.log",
        requests=requests,
        report=report,
        hosts=hosts,
    )


def join_training(nodes: int) -> bool:
    """Run the workers of a host other than the first; return whether this is one.

    Raises:
        CrackLightningError: If the first host ends early, or its folders are missing here.
    """
    hosts = find_hosts(nodes)
    if hosts is None or hosts.is_first:
        return False
    print(f"trainer.nodes: host {hosts.number + 1} of {hosts.total} waits for the first at {hosts.address}.")
    with StopSignals() as requests, received_task(hosts) as task:
        if task is None:
            print("trainer.nodes: the first host has nothing to train.")
            return True
        for key, folder in (("outputs", task.folder), ("data", task.table.root)):
            if not Path(folder).is_dir():
                raise ConfigError(
                    f"{key}: this host has no folder '{folder}', which the first one uses; keep it on a disk "
                    "that all hosts mount under the same path."
                )
        configure_process(task.plan.threads)
        _launch(task, requests=requests, hosts=hosts)
    return True


def _fit_in_worker(task: _WorkerTask, rank: Worker) -> History:
    config, plan = task.config, task.plan
    import_plugins(config.plugins)
    # until it trains Lightning takes every process for rank 0
    rank_zero_only.rank = rank.number  # type: ignore[attr-defined]
    with filter_warnings():
        datamodule = factory.build_datamodule(
            config, task.table, plan=plan, rank=rank.number, num_ranks=rank.total
        )
        training = SingleProcessFit(
            config,
            datamodule,
            folder=task.folder,
            plan=plan,
            requests=rank.requests,
            report=rank.report,
        )
        classifier = load_classifier(task.start)
        if config.trainer.sync_batchnorm:
            classifier.backbone = synchronised(classifier.backbone)
        return training.fit(classifier)
