"""What each part of a transferring head gives: the same short training with one thing removed or changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from commands import metrics, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transfer import TransferRows

_AT_ONE_SIZE = ("recipe.sizes=[]", "model.image_size=224", "model.strongest_cells=0.03")
_COMMON = (
    *("recipe.sizes=[224]", "model.image_size=320", "model.strongest_cells=0.015"),
    *("data.train_sources=[metu,painted]", "data.test_sources=[chosen_on]"),
    *("trainer.max_epochs=1", "trainer.max_train_batches=150", "trainer.max_val_batches=40"),
)
_STRIDE = "plugins=[stride_left_out]"
CHANGES: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "another seed": ("seed=1",),
    "a third seed": ("seed=2",),
    "without the features of stride 4": (_STRIDE, "4"),
    "without the features of stride 8": (_STRIDE, "8"),
    "without the features of stride 16": (_STRIDE, "16"),
    "asked at 224 px, where it learns": _AT_ONE_SIZE,
    "a pooled head, at 224 px": ("model.head=pooled", *_AT_ONE_SIZE),
    "painted tiles alone": ("data.train_sources=[painted]",),
    "METU alone": ("data.train_sources=[metu]",),
    "METU alone, painted on the fly": ("data.train_sources=[metu]", "augmentation.paint=0.5"),
    "no loss by cells": ("recipe.loss.cells=0",),
    "no augmentation": ("augmentation=none",),
    "scales of 0.7 to 1.4": ("augmentation.scale=[0.7,1.4]",),
    "strong augmentation": ("augmentation=strong",),
    "backbone unfrozen, a tenth of the head's rate": ("recipe=finetune",),
    "painted tiles alone, backbone unfrozen likewise": ("data.train_sources=[painted]", "recipe=finetune"),
    "random weights": ("recipe=scratch", "model.weights=none"),
    "EfficientNet-Lite1": ("model=timm", "model.name=tf_efficientnet_lite1"),
    "EfficientNet-Lite2": ("model=timm", "model.name=tf_efficientnet_lite2"),
}


def table(rows: TransferRows) -> Iterator[str]:
    """Train with each change; lay out, line by line, what it gives on validation tiles and a half of uav75.

    METU's test tiles and the other half of uav75 are not looked at.
    """
    photos = f"{{source: masked_photos, group_pattern: '(DSC[0-9]+)', root: {rows.parted['chosen_on']}}}"
    here = str(Path(__file__).parent)
    yield "| change | accuracy on validation tiles | uav75, choosing half: AUROC | in all, s |"
    yield "| --- | ---: | --- | ---: |"
    for name, change in CHANGES.items():
        left_out = {"STRIDE_LEFT_OUT": change[1]} if change[:1] == (_STRIDE,) else {}
        done = rows.local_run(
            f"removal-{name}",
            *_COMMON,
            *(change[:1] if left_out else change),
            added=f", chosen_on: {photos}",
            environment=left_out | {"PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])},
        )
        found = report(done.folder)
        between = found["uncertainty"]["intervals"]["auroc_crack"]
        auroc = f"{metrics(done.folder)['auroc']:.3f} ({between['low']:.3f} to {between['high']:.3f})"
        validated = found["history"][-1]["val/accuracy"]
        yield f"| {name} | {validated:.2%} | {auroc} | {done.seconds:.0f} |"
