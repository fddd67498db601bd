from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml  # type: ignore[import-untyped]
from huggingface_hub import ModelCard

if TYPE_CHECKING:
    from pathlib import Path


def test_the_model_card_has_the_metrics_of_the_report(run: Path) -> None:
    text = (run / "checkpoints" / "README.md").read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    metadata = yaml.safe_load(front)
    assert metadata["pipeline_tag"] == "image-classification"
    [entry] = metadata["model-index"]
    [result] = entry["results"]
    told = {row["type"]: row["value"] for row in result["metrics"]}
    report = json.loads((run / "report" / "report.json").read_text(encoding="utf-8"))
    assert told["accuracy"] == report["metrics"]["accuracy"]
    assert told["recall"] == report["metrics"]["recall_crack"]
    assert told["roc_auc"] == report["metrics"]["auroc_crack"]
    titles = [line.removeprefix("## ") for line in body.splitlines() if line.startswith("## ")]
    assert titles == [
        "Model details",
        "Uses",
        "How to get started",
        "Bias, risks and limitations",
        "Training details",
        "Evaluation",
    ]
    assert report["verdict"] in body.replace("\\", "")
    assert "report.html" not in body
    assert ".png" not in body


def test_huggingface_hub_reads_the_model_card(run: Path) -> None:
    card = ModelCard.load(run / "checkpoints" / "README.md")
    assert [result.metric_type for result in card.data.eval_results][:2] == ["accuracy", "recall"]
