"""The LightningModule: uint8 batches to logits, one step for every stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from pytorch_lightning import LightningModule

from crack_lightning.model.backbones import split_parameters
from crack_lightning.model.backends.inference_model import InferenceParts
from crack_lightning.model.backends.inference_modules import collect_features
from crack_lightning.model.layer_groups import (
    freeze_batchnorm,
    freeze_modules,
    layer_groups,
    num_unfrozen,
    parameter_groups,
    unfreeze_last,
)
from crack_lightning.model.losses import CrackLoss
from crack_lightning.model.ood.image_statistics import image_statistics
from crack_lightning.model.optimizers import build_optimizer
from crack_lightning.model.schedulers import build_scheduler
from crack_lightning.model.split_metrics import SplitMetrics

if TYPE_CHECKING:
    from torch import Tensor


class CrackClassifier(InferenceParts, LightningModule):
    """A backbone with its classes, normalisation and input size; rebuilds itself from a checkpoint.

    Every argument is a plain value, so that a checkpoint loads without running code.

    Args:
        recipe: ``scratch``, ``finetune``, ``frozen``, ``probe`` or ``probe_then_finetune``.
        backbone_lr_scale: The backbone's learning rate as a share of the head's, with ``finetune``.
        stage_lr_scale: Each stage's rate as a share of the next one's, with ``probe_then_finetune``.
        unfreeze_by: Share of the steps by which all stages are unfrozen, with ``probe_then_finetune``.
        loss: Arguments of :func:`~crack_lightning.model.losses.CrackLoss`.
        cell_loss: Weight of the cell loss that is added to the tile loss; local heads only.
        optimizer: Arguments of :func:`~crack_lightning.model.optimizers.build_optimizer`.
        scheduler: Arguments of :func:`~crack_lightning.model.schedulers.build_scheduler`.
        temperature: Divisor of the logits before the softmax.
        threshold: Least probability at which the positive class is predicted.
        label: Short name for reports; ``name`` if empty.
        train_scale: Median scale of the training tiles, input pixels per pixel of the file, at which photos
            are mapped; ``None`` in older checkpoints.
        parts: Arguments of :class:`~crack_lightning.model.backends.inference_model.InferenceParts`.
    """

    def __init__(
        self,
        *,
        recipe: str,
        backbone_lr_scale: float,
        stage_lr_scale: float,
        unfreeze_by: float,
        loss: dict[str, Any],
        optimizer: dict[str, Any],
        scheduler: dict[str, Any],
        temperature: float = 1.0,
        threshold: float = 0.5,
        label: str = "",
        cell_loss: float = 1.0,
        train_scale: float | None = None,
        **parts: Any,
    ) -> None:
        super().__init__(**parts)
        self.save_hyperparameters(logger=False)
        if recipe == "frozen":
            for parameter in split_parameters(self.backbone)[0]:
                parameter.requires_grad_(False)
        self.loss = CrackLoss(**loss)
        for stage in ("train", "val", "test"):
            figures = SplitMetrics(
                stage, class_names=parts["class_names"], positive_class=parts["positive_class"]
            )
            self.add_module(f"{stage}_figures", figures)
        self.predictions: list[tuple[Tensor, Tensor, Tensor]] = []
        self.ood_scores: list[Tensor] = []
        self.last_loss: Tensor | None = None
        self.last_index: Tensor | None = None
        self._num_stages, self._num_steps, self._num_unfrozen = 0, 0, 0

    def forward(self, images: Tensor) -> Tensor:
        """Classify a batch.

        Args:
            images: uint8 ``(N, 3, H, W)``, or float ``(N, 3, H, W)`` in ``[0, 1]``.

        Returns:
            Logits, float ``(N, K)``.
        """
        return self.head.logits(self.backbone, self._normalised(images))

    def _normalised(self, images: Tensor) -> Tensor:
        scaled = (_in_unit(images) - self.mean) / self.std
        return scaled.contiguous(memory_format=torch.channels_last)

    def compile_step(self) -> None:
        """Compile the forward pass of a step by ``torch.compile``; checkpoints are unaffected."""
        self._training_outputs = torch.compile(self._training_outputs)  # type: ignore[method-assign]

    def train(self, mode: bool = True) -> CrackClassifier:  # noqa: FBT001, FBT002
        """Set the mode; frozen modules stay in evaluation mode.

        With ``probe_then_finetune`` all BatchNorm statistics stay fixed as well: those of small batches would
        change the features that the head was fitted on.
        """
        super().train(mode)
        if mode:
            freeze_modules(self.backbone)
            if self.hparams["recipe"] == "probe_then_finetune":
                freeze_batchnorm(self.backbone)
        return self

    def on_train_start(self) -> None:
        """Set the numbers of stages and steps for ``probe_then_finetune``."""
        if self.hparams["recipe"] == "probe_then_finetune":
            self._num_stages = len(layer_groups(self.backbone))
            self._num_steps = int(self.trainer.estimated_stepping_batches)

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Unfreeze the stages that are due at this step; they depend on the global step alone."""
        if not self._num_stages:
            return
        progress = self.trainer.global_step / self._num_steps
        number = num_unfrozen(self._num_stages, progress=progress, all_by=self.hparams["unfreeze_by"])
        if number != self._num_unfrozen:
            unfreeze_last(self.backbone, number)
            self.train(self.training)
            self._num_unfrozen = number

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of a batch, float scalar."""
        loss = self._step(batch, "train")
        self.last_loss, self.last_index = loss.detach(), batch["index"]
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]  # set by its logger connector
        if every and (self.trainer.global_step + 1) % every == 0:  # logging synchronises the processes
            self.log("train/loss_step", self.last_loss, sync_dist=True)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Update the validation metrics with a batch."""
        self._step(batch, "val")

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Append a batch's probabilities to ``predictions`` and its OOD scores to ``ood_scores``."""
        with collect_features(self) as features:
            self._step(batch, "test")
        if self.ood_detector is not None:
            inputs = torch.cat([image_statistics(batch["image"].cpu()), *features], dim=1)
            self.ood_scores.append(self.ood_detector.score(inputs))

    def _step(self, batch: dict[str, Tensor], stage: str) -> Tensor:
        logits, head_loss = self._training_outputs(batch)
        loss: Tensor = self.loss(logits, batch.get("soft_target", batch["target"])) + head_loss
        logits = logits.detach().float()
        self._figures(stage).update(logits, batch["target"], loss=loss.detach())
        if stage == "test":
            probability = torch.softmax(logits / float(self.hparams["temperature"]), dim=1)
            self.predictions.append((batch["index"].cpu(), batch["target"].cpu(), probability.cpu()))
        return loss

    def _training_outputs(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor | float]:
        """Return logits, float ``(N, K)``, and the head's own loss times its weight, 0 without one."""
        masks = _in_unit(batch["mask"]) if "mask" in batch else None
        images = self._normalised(batch["image"])
        logits, head_loss = self.head.training_outputs(self.backbone, images, masks, batch.get("mask_known"))
        return logits, 0.0 if head_loss is None else float(self.hparams["cell_loss"]) * head_loss

    def _log_epoch(self, stage: str) -> None:
        figures = self._figures(stage)
        self.log_dict(figures.compute())
        figures.reset()

    def on_train_epoch_end(self) -> None:
        """Log the epoch's training figures."""
        self._log_epoch("train")

    def on_validation_epoch_end(self) -> None:
        """Log the validation figures."""
        self._log_epoch("val")

    def on_test_epoch_start(self) -> None:
        """Remove the predictions of an earlier test."""
        self.predictions, self.ood_scores = [], []

    def on_test_epoch_end(self) -> None:
        """Log the test figures."""
        self._log_epoch("test")

    def configure_optimizers(self) -> Any:
        """Build the optimizer and a scheduler that is stepped after every optimizer step."""
        groups = parameter_groups(
            self.backbone,
            recipe=self.hparams["recipe"],
            lr=self.hparams["optimizer"]["lr"],
            backbone_scale=self.hparams["backbone_lr_scale"],
            stage_scale=self.hparams["stage_lr_scale"],
        )
        clips_mixed = self.trainer.gradient_clip_val and self.trainer.precision != "32-true"
        optimizer = build_optimizer(groups, fused=not clips_mixed, **self.hparams["optimizer"])
        total_steps = int(self.trainer.estimated_stepping_batches)
        scheduler = build_scheduler(optimizer, total_steps=total_steps, **self.hparams["scheduler"])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Load a checkpoint without the states of optimizer, scheduler and loops."""
        self.load_state_dict(checkpoint["state_dict"])
        self.on_load_checkpoint(checkpoint)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add train fingerprints, the OOD detector and the metric counts of the running epoch."""
        checkpoint |= self.extras()
        checkpoint["train_counts"] = self._figures("train").counts()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Load train fingerprints, the OOD detector and the metric counts of an interrupted epoch."""
        self.load_extras(checkpoint)
        if torch.distributed.is_initialized() and torch.distributed.get_rank() > 0:
            return  # rank 0 has the counts of all processes
        self._figures("train").load_counts(checkpoint.get("train_counts", {}))

    def _figures(self, stage: str) -> SplitMetrics:
        return cast("SplitMetrics", self.get_submodule(f"{stage}_figures"))


def _in_unit(values: Tensor) -> Tensor:
    return values.float() / 255 if values.dtype == torch.uint8 else values
