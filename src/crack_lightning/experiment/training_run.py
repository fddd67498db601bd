"""A training run from its folder to its report, resumed after an interruption."""

from __future__ import annotations

import logging
import shlex
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from crack_lightning.config import names_code, write_config
from crack_lightning.data.loader_workers import explain_worker_failures
from crack_lightning.data.scan.prepare import describe
from crack_lightning.experiment import factory, load_data
from crack_lightning.experiment.decision import ood_facts
from crack_lightning.experiment.fit_probe import fit_linear_probe
from crack_lightning.experiment.loggers import tensorboard_loggers
from crack_lightning.experiment.result import ExperimentResult
from crack_lightning.model.backbones import count_parameters
from crack_lightning.model.weights.checkpoints import BEST, LAST, read_checkpoint
from crack_lightning.report.explanations import explain_test_tiles
from crack_lightning.report.inputs import ReportTiles
from crack_lightning.report.model_card import model_card
from crack_lightning.report.provenance import provenance
from crack_lightning.report.tensorboard import hparams_session, log_report
from crack_lightning.report.write import write_report
from crack_lightning.runtime.errors import ConfigError, Interrupted
from crack_lightning.runtime.files.atomic_write import write_text
from crack_lightning.runtime.files.run_folder import ensure_folder, lock_folder, log_to
from crack_lightning.runtime.memory import explain_out_of_memory
from crack_lightning.training.hosts import find_hosts, first_host
from crack_lightning.training.state import RunState
from crack_lightning.training.stop_signals import StopSignals
from crack_lightning.training.warning_filters import filter_warnings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crack_lightning.config import EvaluateConfig, TrainConfig
    from crack_lightning.data.split_tiles import SplitTiles
    from crack_lightning.data.table import TileTable
    from crack_lightning.experiment.fit_end_to_end import Report
    from crack_lightning.model.backends.inference_model import InferenceParts
    from crack_lightning.runtime.hardware import HardwarePlan
    from crack_lightning.training.hosts import HostStore

log = logging.getLogger(__name__)


def run_training(
    config: TrainConfig,
    *,
    folder: Path | None = None,
    command: str = "",
    report: Report | None = None,
) -> ExperimentResult:
    """Fit a model, test its best checkpoint on the whole test split, and write the report.

    Args:
        config: Checked settings; the folder's own where a run is resumed.
        folder: The run's folder; an unfinished run in it goes on where it stopped. A new one by default.
        command: What the user typed, for the report.
        report: Called with the validation figures after each epoch; returns whether to end the run.

    Returns:
        The run's folder, report and figures.

    Raises:
        CrackLightningError: For errors that the user can fix.
        Pruned: If ``report`` ends the run.
    """
    name = f"{config.model.short_name}_{config.data.source}"
    folder = ensure_folder(folder, base=Path(config.outputs), name=name)
    if RunState.is_finished(folder):
        with first_host(find_hosts(config.trainer.nodes)):
            return load_finished_run(config, folder)
    if config.recipe.name != "probe":
        config.optimizer.lr = config.learning_rate
    with (
        filter_warnings(),
        hold_run_folder(config, folder, command=command),
        StopSignals() as requests,
        explain_worker_failures(lambda: requests.received),
        first_host(find_hosts(config.trainer.nodes)) as store,
    ):
        plan = factory.hardware_plan(config.trainer, num_workers=config.data.num_workers)
        config.trainer.threads, config.trainer.devices = plan.threads, plan.devices
        config.trainer.sync_batchnorm &= plan.processes > 1
        if problems := config.sharing_problems():
            raise ConfigError("\n".join(problems))
        write_config(config, folder / "config.yaml")
        log.info("run: %s", folder)
        on_features = config.recipe.name == "probe" and plan.accelerator == "cpu"  # its engine sets precision
        log.info("machine: %s", plan.machine if on_features else plan.reason)
        with explain_out_of_memory(batch_size=config.data.batch_size, image_size=config.model.image_size):
            state = RunState.entered(folder, command=command)
            loaded = _load_and_split(config, state, folder=folder, plan=plan)
            return _run(
                config,
                loaded,
                state,
                folder=folder,
                plan=plan,
                requests=requests,
                report=report,
                store=store,
            )


def load_finished_run(config: TrainConfig, folder: Path) -> ExperimentResult:
    """Return the result of a finished run.

    Raises:
        ConfigError: If the run is to be resumed.
    """
    result = ExperimentResult.read(folder)
    fitted_epochs = result.contents["provenance"]["settings"]["trainer"]["max_epochs"] or 0
    if (config.trainer.max_epochs or 0) > fitted_epochs:
        raise ConfigError(
            f"trainer.max_epochs: got {config.trainer.max_epochs}, but the run in '{folder}' is finished, "
            "and its last checkpoint is gone; start a new run."
        )
    print(f"resume: the run in '{folder}' is finished; there is nothing to do.")
    return result


@contextmanager
def hold_run_folder(config: TrainConfig, folder: Path, *, command: str = "") -> Iterator[None]:
    """Hold the lock of a run's folder, and write its log and its row in TensorBoard's HPARAMS tab."""
    with ExitStack() as stack:
        stack.enter_context(lock_folder(folder))
        stack.enter_context(log_to(folder / "run.log"))
        if tensorboard_loggers(config):
            log_dir = folder / "tensorboard"
            stack.enter_context(hparams_session(log_dir, reproducible(config), name=folder.name))
        try:
            yield
        except Interrupted:
            code_overrides = filter(names_code, shlex.split(command))  # not taken from an untrusted folder
            resume_arguments = shlex.join([f"resume={folder}", *code_overrides])
            log.info("stopped: python -m crack_lightning.train %s goes on", resume_arguments)
            raise


def _run(
    config: TrainConfig,
    loaded: tuple[TileTable, list[dict[str, str]]],
    state: RunState,
    *,
    folder: Path,
    plan: HardwarePlan,
    requests: StopSignals,
    report: Report | None,
    store: HostStore | None,
) -> ExperimentResult:
    table, skipped = loaded
    tiles: SplitTiles
    classifier: InferenceParts
    if config.recipe.name == "probe":
        torch.manual_seed(config.seed)
        tiles = factory.build_split_tiles(config, table, plan=plan)
        classifier, predictions = fit_linear_probe(config, tiles, state, folder=folder, plan=plan)
    else:
        from pytorch_lightning import seed_everything  # its import takes longer than the fit of a probe

        from crack_lightning.experiment.fit import fit_end_to_end

        seed_everything(config.seed, verbose=False)
        tiles = datamodule = factory.build_datamodule(config, table, plan=plan)
        classifier, predictions = fit_end_to_end(
            config,
            datamodule,
            state,
            folder=folder,
            plan=plan,
            requests=requests,
            report=report,
            store=store,
        )
    threshold = float(classifier.hparams["threshold"])
    with state.timed("explanations"):
        explanations = explain_test_tiles(classifier.to(plan.device), table, predictions, threshold=threshold)
    best = read_checkpoint(folder / "checkpoints" / BEST)
    with state.timed("report"):
        write_report(
            folder,
            title=f"{config.model.short_name} on {config.data.source}",
            predictions=predictions,
            table=table,
            history=state.history,
            provenance=provenance(
                command=state.command,
                settings=reproducible(config),
                num_parameters=count_parameters(classifier),
                plan=plan,
                excluded_files=skipped,
                seconds=state.seconds,
                resumed=state.resumed,
                best_epoch=best["epoch"] + 1 if state.history else None,
                fitted=state.fitted | ood_facts(classifier),
            ),
            tiles=report_tiles(tiles),
            threshold=threshold,
            mm_per_px=config.data.mm_per_px,
            explanations=explanations,
        )
        result = ExperimentResult.read(folder)
        write_text(folder / "checkpoints" / "README.md", model_card(result.contents))
        if tensorboard_loggers(config):
            step, log_dir, report_dir = best["global_step"], folder / "tensorboard", result.report.parent
            log_report(log_dir, result.contents, predictions=predictions, report=report_dir, step=step)
    state.advance("finished", folder)
    (folder / "checkpoints" / LAST).unlink(missing_ok=True)
    return result


def _load_and_split(
    config: TrainConfig, state: RunState, *, folder: Path, plan: HardwarePlan
) -> tuple[TileTable, list[dict[str, str]]]:
    """Return a run's tiles with their splits, and the skipped files; update dependent settings."""
    with state.timed("data"):
        table, skipped = load_data.read_tiles(
            config.data, threads=plan.threads, progress=config.progress, near_duplicates=True
        )
        table = load_data.split_tiles(table, config.data, splits_path=folder / "splits.csv")
    config.evaluation.check_classes(table.class_names, table.positive_class)
    log.info("data: %s", describe(table))
    config.trainer.max_epochs = config.epochs_for(len(table.rows("train")))
    config.model.head = factory.suitable_head(config, table)
    write_config(config, folder / "config.yaml")
    return table, skipped


def report_tiles(tiles: SplitTiles) -> ReportTiles:
    """Return the training tiles that a report shows."""
    rows = tiles.example_rows(16)
    batch = tiles.dataset.__getitems__(rows.tolist())
    views = torch.cat([batch["image"][:1], tiles.augmented(int(rows[0]), 9)])
    return ReportTiles(
        example_image=batch["image"].numpy(),
        example_label=batch["target"].numpy(),
        augmented_image=views.numpy(),
    )


def reproducible(config: TrainConfig | EvaluateConfig) -> dict[str, Any]:
    """Return the settings that affect the result: without folders and display."""
    settings = asdict(config)
    for key in ("outputs", "resume", "progress", "sweep"):
        settings.pop(key, None)
    return settings
