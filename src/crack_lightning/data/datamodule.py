"""The LightningDataModule: uint8 batches of every split, augmented on the device."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch.nn import functional

from crack_lightning.data.loader_workers import TileLoader, worker_init
from crack_lightning.data.sampling import TrainBatches
from crack_lightning.data.split_tiles import SplitTiles
from crack_lightning.data.transforms.mixup import mix_batch
from crack_lightning.data.transforms.paint import paint_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor
    from torch.utils.data import DataLoader

    from crack_lightning.data.table import TileTable
    from crack_lightning.data.transforms.augmentation import Augmentation

    Batch = dict[str, Tensor]

# Linux's default up to Python 3.13. A spawned worker imports everything again: in a sweep's job three
# loaders took 30 s to start.
_START_METHOD = "fork" if sys.platform == "linux" else None


class CrackDataModule(SplitTiles, LightningDataModule):
    """Data loaders of the splits of a tile table.

    Args:
        table: Tiles with their splits.
        image_size: Side in pixels that tiles are resized to.
        batch_size: Tiles a step, of all processes together.
        num_workers: Worker processes; 0 reads in the main process with torch's number of threads.
        timeout_s: Seconds to wait for a worker.
        seed: Seed of order and augmentation.
        sampler: ``shuffled``, or ``balanced`` to sample classes equally.
        mix: ``natural``, or ``equal`` to sample sources equally.
        augmentation: Random transforms of training tiles.
        paint: Share of intact training tiles that get a painted crack, in ``[0, 0.5]``.
        masks: Whether batches have masks.
        mixing: Arguments of :func:`~crack_lightning.data.transforms.mixup.mix_batch`; empty is off.
        max_train_batches: Largest number of batches an epoch.
        max_val_batches: Largest number of validation batches.
        sizes: Sides that training batches are shrunk to, each for an equal share of the epochs; empty for
            ``image_size`` throughout (progressive resizing, as in Tan and Le, "EfficientNetV2", ICML 2021).
        pin_memory: Whether to pin memory, for asynchronous copies to the device.
        rank: Rank of this process, from 0; the ranks share every training and validation batch.
        num_ranks: World size.
    """

    def __init__(
        self,
        table: TileTable,
        *,
        image_size: int,
        batch_size: int,
        num_workers: int,
        timeout_s: int,
        seed: int,
        sampler: str,
        mix: str = "natural",
        augmentation: Augmentation,
        mixing: Mapping[str, float],
        paint: float = 0.0,
        masks: bool = False,
        max_train_batches: int | None = None,
        max_val_batches: int | None = None,
        sizes: Sequence[int] = (),
        pin_memory: bool = False,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        super().__init__(
            table,
            image_size=image_size,
            batch_size=batch_size,
            seed=seed,
            augmentation=augmentation,
            threads=1 if num_workers else torch.get_num_threads(),
            masks=masks,
            max_train_batches=max_train_batches,
            max_val_batches=max_val_batches,
        )
        LightningDataModule.__init__(self)
        self.num_workers, self.timeout_s = num_workers, timeout_s
        self.sampler, self.mix, self.mixing, self.paint = sampler, mix, mixing, paint
        self.sizes, self.pin_memory = tuple(sizes), pin_memory
        self.rank, self.num_ranks = rank, num_ranks

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the training batches, from the trainer's current step on."""
        rows = self.table.rows("train")
        batches = TrainBatches(
            rows,
            strata=self._strata(rows),
            batch_size=self.batch_size,
            seed=self.seed,
            max_batches=self.max_train_batches,
            steps_done=lambda: int(self.trainer.global_step) if self.trainer else 0,
            rank=self.rank,
            num_ranks=self.num_ranks,
        )
        return self._loader(batches)

    def _strata(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the strata to sample equally, by class, source, both or neither, int64 ``(N,)``."""
        strata = np.zeros(len(rows), np.int64)
        if self.mix == "equal":
            strata = np.unique(self.table.source[rows], return_inverse=True)[1].astype(np.int64)
        if self.sampler == "balanced":
            strata = strata * len(self.table.class_names) + self.table.label[rows]
        return strata

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the validation batches in table order."""
        return self._loader(self._val_batches())

    def single_val_pass(self) -> DataLoader[Any]:
        """Return the validation batches for a single pass, without workers."""
        return self._loader(self._val_batches(), num_workers=0)

    def single_pass(self, rows: NDArray[np.int64]) -> DataLoader[Any]:
        """Return the tiles of the given rows, int64 ``(M,)``, for a single pass without workers."""
        return self._loader(self._batched(rows), num_workers=0)

    def _val_batches(self) -> list[NDArray[np.int64]]:
        batches = self._batched(self.table.rows("val"))[: self.max_val_batches]
        shares = [batch[self.rank :: self.num_ranks] for batch in batches]
        return [share for share in shares if len(share)]

    def test_dataloader(self) -> DataLoader[Any]:
        """Return every test tile in table order."""
        return self._loader(self._batched(self.table.rows("test")))

    def _batched(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return [rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size)]

    def _loader(self, batches: Any, *, num_workers: int | None = None) -> DataLoader[Any]:
        num_workers = self.num_workers if num_workers is None else num_workers
        return TileLoader(
            self.dataset,
            batch_sampler=batches,
            collate_fn=_unchanged,
            num_workers=num_workers,
            timeout=self.timeout_s if num_workers else 0,
            multiprocessing_context=_START_METHOD if num_workers else None,
            persistent_workers=num_workers > 0,
            worker_init_fn=self._worker_init() if num_workers else None,
            pin_memory=self.pin_memory,
        )

    def _worker_init(self) -> Callable[[int], None] | None:
        channels = 3 if self.dataset.masks is None else 4
        return worker_init(
            batch_bytes=self.batch_size * channels * self.dataset.image_size**2, num_workers=self.num_workers
        )

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Paint, augment and mix training batches on their device."""
        if self.trainer is None or not self.trainer.training:
            return batch
        epoch = self.trainer.current_epoch
        if self.paint:
            assert self.table.positive_index is not None, "refused before"
            batch = paint_batch(
                batch,
                share=self.paint,
                positive_index=self.table.positive_index,
                seed=self.seed,
                epoch=epoch,
            )
        batch = self._augmented(batch, epoch=epoch)
        images = self._shrunk(batch["image"], epoch=epoch, epochs=self.trainer.max_epochs or 1)
        batch = {**batch, "image": images}
        if self.mixing:
            batch["image"], batch["soft_target"] = mix_batch(
                images,
                batch["target"],
                num_classes=len(self.table.class_names),
                seed=self.seed,
                step=self.trainer.global_step,
                **self.mixing,
            )
        return batch

    def _augmented(self, batch: Batch, *, epoch: int) -> Batch:
        how = {"seed": self.seed, "epoch": epoch}
        if "mask" not in batch:
            return {**batch, "image": self.augmentation(batch["image"], batch["index"], **how)}
        images, masks = self.augmentation.with_masks(batch["image"], batch["mask"], batch["index"], **how)
        assert self.table.positive_index is not None, "masks are of cracks"
        # A tile whose whole crack mask was moved out of view or erased is intact.
        before, after = (part.flatten(1).amax(dim=1) > 0 for part in (batch["mask"], masks))
        target = torch.where(before & ~after, 1 - self.table.positive_index, batch["target"])
        return {**batch, "image": images, "mask": masks, "target": target}

    def _shrunk(self, images: Tensor, *, epoch: int, epochs: int) -> Tensor:
        """Resize training tiles to the size of the epoch, float32 ``(N, 3, S, S)``."""
        if not self.sizes:
            return images
        size = self.sizes[min(epoch * len(self.sizes) // epochs, len(self.sizes) - 1)]
        if size == images.shape[-1]:
            return images
        return functional.interpolate(images, size=(size, size), mode="bilinear", antialias=True)


def _unchanged(batch: Any) -> Any:
    return batch
