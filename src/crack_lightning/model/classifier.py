"""The LightningModule: uint8 batches to logits, one step for every stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from pytorch_lightning import LightningModule
from torchmetrics import MeanMetric, Metric

from crack_lightning.evaluation.metrics import build_metrics
from crack_lightning.model.backbones import split_parameters
from crack_lightning.model.heads import LocalNetwork, cell_loss
from crack_lightning.model.looks import looks
from crack_lightning.model.losses import build_loss
from crack_lightning.model.optim import build_optimizer, build_scheduler
from crack_lightning.model.stages import (
    open_stages,
    rest_frozen,
    rest_statistics,
    stage_groups,
    stages,
    stages_to_open,
)
from crack_lightning.model.trained import DIGEST_BYTES, AnsweringParts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torchmetrics import MetricCollection

STAGES = ("train", "val", "test")


def digests(sha256: Sequence[str]) -> Tensor:
    """Pack hex digests into their first 16 bytes, uint8 ``(M, 16)``; enough to know a tile again."""
    packed = b"".join(bytes.fromhex(digest)[:DIGEST_BYTES] for digest in sorted(set(sha256)))
    return torch.frombuffer(bytearray(packed), dtype=torch.uint8).view(-1, DIGEST_BYTES)


class CrackClassifier(AnsweringParts, LightningModule):
    """A backbone with its classes, normalisation and input size; rebuilds itself from a checkpoint.

    Every argument is a plain value, so that a checkpoint loads without running code.

    Args:
        name: ``plain_cnn`` or a timm model.
        class_names: Names by class index, K of them.
        positive_class: The class that means "crack", or ``None``.
        image_size: Side of the square input in pixels.
        mean: Channel means of the normalisation, of values in ``[0, 1]``.
        std: Channel deviations, likewise.
        drop_rate: Dropout before the head.
        drop_path_rate: Stochastic depth.
        recipe: ``scratch``, ``finetune``, ``frozen``, ``probe`` or ``probe_then_finetune``.
        backbone_lr_scale: The backbone's learning rate as a share of the head's, with ``finetune``.
        stage_lr_scale: Each stage's rate as a share of the next one's, with ``probe_then_finetune``.
        all_stages_by: Share of the steps by which all stages learn, likewise.
        loss: Arguments of :func:`~crack_lightning.model.losses.build_loss`.
        cell_loss: Weight of the loss by cells beside the loss by tiles, where the head is local.
        optimizer: Arguments of :func:`~crack_lightning.model.optim.build_optimizer`.
        scheduler: Arguments of :func:`~crack_lightning.model.optim.build_scheduler`.
        temperature: What logits are divided by before they become probabilities.
        threshold: The least probability of the positive class that is called so.
        head: ``pooled``, or ``local`` for :class:`~crack_lightning.model.heads.LocalNetwork`.
        label: Short name for reports; the name where none is given.
    """

    def __init__(
        self,
        *,
        name: str,
        class_names: list[str],
        positive_class: str | None,
        image_size: int,
        mean: list[float],
        std: list[float],
        drop_rate: float,
        drop_path_rate: float,
        recipe: str,
        backbone_lr_scale: float,
        stage_lr_scale: float,
        all_stages_by: float,
        loss: dict[str, Any],
        optimizer: dict[str, Any],
        scheduler: dict[str, Any],
        temperature: float = 1.0,
        threshold: float = 0.5,
        label: str = "",
        head: str = "pooled",
        cell_loss: float = 1.0,
    ) -> None:
        super().__init__(
            name=name,
            head=head,
            class_names=class_names,
            positive_class=positive_class,
            image_size=image_size,
            mean=mean,
            std=std,
            drop_rate=drop_rate,
            drop_path_rate=drop_path_rate,
        )
        self.save_hyperparameters(logger=False)
        if recipe == "frozen":
            for parameter in split_parameters(self.backbone)[0]:
                parameter.requires_grad_(False)
        self.loss = build_loss(**loss)
        self.mean_losses = torch.nn.ModuleDict({_key(stage): MeanMetric() for stage in STAGES})
        self.metrics = torch.nn.ModuleDict(
            {
                _key(stage): build_metrics(
                    num_classes=len(class_names),
                    class_names=class_names,
                    positive_class=positive_class,
                    prefix=f"{stage}/",
                )
                for stage in STAGES
            }
        )
        self.predictions: list[tuple[Tensor, Tensor, Tensor]] = []
        self.looks: list[Tensor] = []
        self.last_loss: Tensor | None = None
        self.last_index: Tensor | None = None
        self._num_stages, self._num_steps, self._open_stages = 0, 0, 0

    def forward(self, images: Tensor) -> Tensor:
        """Classify a batch.

        Args:
            images: uint8 ``(N, 3, H, W)``, or float ``(N, 3, H, W)`` in ``[0, 1]``.

        Returns:
            Logits, float ``(N, K)``.
        """
        logits: Tensor = self.backbone(self._normalised(images))
        return logits

    def _normalised(self, images: Tensor) -> Tensor:
        scaled = (_in_unit(images) - self.mean) / self.std
        return scaled.contiguous(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> CrackClassifier:  # noqa: FBT001, FBT002
        """Set the mode; what is frozen stays as in evaluation.

        So do the statistics of all normalisation with ``probe_then_finetune``: with those of small batches
        the features would no longer be what the head was fitted on.
        """
        super().train(mode)
        if mode:
            rest_frozen(self.backbone)
            if self.hparams["recipe"] == "probe_then_finetune":
                rest_statistics(self.backbone)
        return self

    def on_train_start(self) -> None:
        """Count the stages that ``probe_then_finetune`` opens, and the steps that it has for them."""
        if self.hparams["recipe"] == "probe_then_finetune":
            self._num_stages = len(stages(self.backbone))
            self._num_steps = int(self.trainer.estimated_stepping_batches)

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Open the stages whose time has come; by the step alone, so that a resumed run has the same."""
        if not self._num_stages:
            return
        progress = self.trainer.global_step / self._num_steps
        number = stages_to_open(self._num_stages, progress=progress, all_by=self.hparams["all_stages_by"])
        if number != self._open_stages:
            open_stages(self.backbone, number)
            self.train(self.training)
            self._open_stages = number

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of a batch, float scalar."""
        loss = self._step(batch, "train")
        self.last_loss, self.last_index = loss.detach(), batch["index"]
        self.log("train/loss_step", self.last_loss, sync_dist=True)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Count one validation batch."""
        self._step(batch, "val")

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Count one test batch and keep its probabilities, in ``predictions``, and its ``looks``."""
        self._step(batch, "test")
        if self.novelty is not None:
            self.looks.append(looks(batch["image"].cpu()))

    def _step(self, batch: dict[str, Tensor], stage: str) -> Tensor:
        logits, of_cells = self._answers(batch)
        loss: Tensor = self.loss(logits, batch.get("soft_target", batch["target"])) + of_cells
        logits = logits.detach().float()
        self._metrics(stage).update(logits, batch["target"])
        self._mean_loss(stage).update(loss.detach().float(), len(logits))
        if stage == "test":
            probability = torch.softmax(logits / float(self.hparams["temperature"]), dim=1)
            self.predictions.append((batch["index"].cpu(), batch["target"].cpu(), probability.cpu()))
        return loss

    def _answers(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor | float]:
        """Return logits, and what the cells' errors add to the loss where the head is local."""
        if not isinstance(self.backbone, LocalNetwork):
            return self(batch["image"]), 0.0
        cells = self.backbone.cells(self._normalised(batch["image"]))
        if "mask" not in batch:
            return self.backbone.logits(cells), 0.0
        error = cell_loss(cells, _in_unit(batch["mask"]), batch["mask_known"])
        return self.backbone.logits(cells), float(self.hparams["cell_loss"]) * error

    def _log_epoch(self, stage: str) -> None:
        figures = {
            f"{stage}/loss": self._mean_loss(stage).compute(),
            **self._metrics(stage).compute(),
        }
        self.log_dict(figures)
        self._mean_loss(stage).reset()
        self._metrics(stage).reset()

    def on_train_epoch_end(self) -> None:
        """Log the epoch's training figures."""
        self._log_epoch("train")

    def on_validation_epoch_end(self) -> None:
        """Log the validation figures."""
        self._log_epoch("val")

    def on_test_epoch_start(self) -> None:
        """Forget the predictions of an earlier test."""
        self.predictions, self.looks = [], []

    def on_test_epoch_end(self) -> None:
        """Log the test figures."""
        self._log_epoch("test")

    def configure_optimizers(self) -> Any:
        """Build the optimizer and a scheduler that moves at every step."""
        chosen = dict(self.hparams["optimizer"])
        if self.hparams["recipe"] == "probe_then_finetune":
            groups = stage_groups(self.backbone, lr=chosen["lr"], scale=self.hparams["stage_lr_scale"])
        else:
            backbone, head = split_parameters(self.backbone)
            scale = self.hparams["backbone_lr_scale"] if self.hparams["recipe"] == "finetune" else 1.0
            groups = [
                {"name": "backbone", "params": backbone, "lr": chosen["lr"] * scale},
                {"name": "head", "params": head, "lr": chosen["lr"]},
            ][self.hparams["recipe"] == "frozen" :]
        optimizer = build_optimizer(groups, **chosen)
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = build_scheduler(optimizer, total_steps=steps, **self.hparams["scheduler"])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the known tiles' digests, and what the running epoch has counted so that it can go on."""
        checkpoint["seen_tiles"] = self.seen_tiles
        checkpoint["novelty"] = None if self.novelty is None else self.novelty.values()
        checkpoint["train_counts"] = {
            name: _over_all_processes(metric) for name, metric in self._train_counts().items()
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the known tiles' digests and the counts of a broken epoch."""
        self.take_up(checkpoint)
        if torch.distributed.is_initialized() and torch.distributed.get_rank() > 0:
            return  # the first process goes on with what all have counted
        for name, metric in self._train_counts().items():
            for key, value in checkpoint.get("train_counts", {}).get(name, {}).items():
                setattr(metric, key, value)

    def _metrics(self, stage: str) -> MetricCollection:
        return cast("MetricCollection", self.metrics[_key(stage)])

    def _mean_loss(self, stage: str) -> MeanMetric:
        return cast("MeanMetric", self.mean_losses[_key(stage)])

    def _train_counts(self) -> dict[str, Metric]:
        return {
            "loss": self._mean_loss("train"),
            **dict(self._metrics("train").items(keep_base=True, copy_state=False)),
        }


def _over_all_processes(metric: Metric) -> dict[str, Any]:
    with metric.sync_context():
        return dict(metric.metric_state)


def _in_unit(values: Tensor) -> Tensor:
    return values.float() / 255 if values.dtype == torch.uint8 else values


def _key(stage: str) -> str:
    """Name a module of a stage; ``train`` is taken by the method."""
    return f"in_{stage}"
