"""Where a default run looks, and where the same network with shuffled weights does."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import torch

from crack_lightning.data.sources import synthetic
from crack_lightning.evaluation.predictions import Predictions
from crack_lightning.model.weights.checkpoints import load_classifier
from crack_lightning.report.explanations import explain_test_tiles

if TYPE_CHECKING:
    from pathlib import Path

    from crack_lightning.data.table import TileTable
    from crack_lightning.model.classifier import CrackClassifier

NUM_SHUFFLES = 10


def row_d(run: Path, cache: Path) -> str:
    """Return the localisation skill of a default run on its test tiles, and that of shuffled weights."""
    report = json.loads((run / "report" / "report.json").read_text(encoding="utf-8"))
    looked = report["localisation"]
    parts = [f"{looked['tiles']} tiles: {told(looked)}"]
    for row in looked["by_lines"]:
        more = " or more" if row["or_more"] else ""
        parts.append(f"{row['lines'] - 1}{more} branches, {row['tiles']} tiles: {told(row)}")
    found = [_of_shuffled(run, cache, seed) for seed in range(NUM_SHUFFLES)]
    for name in ("energy", "pointing"):
        skills = [looked[name]["skill"] for looked in found]
        parts.append(
            f"shuffled weights, {name}: mean {sum(skills) / len(skills):.3f} "
            f"({min(skills):.3f} to {max(skills):.3f}, {len(skills)} shuffles)"
        )
    return "; ".join(parts)


def told(looked: dict[str, Any]) -> str:
    """Say in words what a report tells of localisation."""
    return ", ".join(
        f"{name} {looked[name]['skill']:.3f} "
        f"({looked[name]['interval']['low']:.3f} to {looked[name]['interval']['high']:.3f})"
        for name in ("energy", "pointing")
    )


def _of_shuffled(run: Path, cache: Path, seed: int) -> dict[str, Any]:
    """Look again with each tensor's weights in a random order (Adebayo et al., NeurIPS 2018)."""
    classifier = load_classifier(run / "checkpoints" / "best.ckpt")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for values in classifier.backbone.parameters():
            order = torch.randperm(values.numel(), generator=generator)
            values.copy_(values.flatten()[order].view(values.shape))
    table, predictions = _tested(run, cache, classifier)
    explained = explain_test_tiles(classifier, table, predictions, threshold=0.5)
    assert explained is not None, "a convolutional network"
    assert explained.localisation is not None, "drawn tiles have masks"
    return explained.localisation


def _tested(run: Path, cache: Path, classifier: CrackClassifier) -> tuple[TileTable, Predictions]:
    """Return the drawn tiles and what a classifier says of a run's test tiles."""
    table = synthetic.load(seed=0, num_tiles=4000, cache=cache)
    with (run / "splits.csv").open(encoding="utf-8", newline="") as file:
        tested = {row["path"] for row in csv.DictReader(file) if row["split"] == "test"}
    index = torch.tensor([row for row, path in enumerate(table.path) if path in tested]).numpy()
    probability = torch.full((len(index), len(classifier.hparams["class_names"])), 0.5).numpy()
    return table, Predictions(index=index, label=table.label[index], probability=probability)
