"""Reports of runs against the JSON schema in the docs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
from PIL import Image

from crack_lightning.cli.main import main
from crack_lightning.evaluation.metrics.registry import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text(encoding="utf-8"))


def faults(folder: Path) -> list[str]:
    report = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    found = jsonschema.Draft202012Validator(SCHEMA).iter_errors(report)
    return [f"{error.json_path}: {error.message}" for error in found] + outside_the_registry(report)


def outside_the_registry(report: dict[str, Any]) -> list[str]:
    """Return the metrics that are not in the registry, or not in its range."""
    ranges = {name: (metric.low, metric.high) for name, metric in METRICS.items()}
    counts = {"tiles", "errors", "false_negatives", "false_positives", "support"}
    rows = [report["metrics"], report["macro"], *report["classes"].values()]
    named = [(key, value) for row in rows for key, value in row.items() if key not in counts]
    stems = [key.removesuffix("_macro") for key, _ in named]
    for name in report["class_names"]:
        stems = [stem.removesuffix(f"_{name}") for stem in stems]
    return [
        f"{key} is {value}"
        for (key, value), stem in zip(named, stems, strict=True)
        if stem not in METRICS or (value is not None and not ranges[stem][0] <= value <= ranges[stem][1])
    ]


def test_the_schema_is_one_and_describes_every_key() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    undescribed = [
        key for key, node in named_nodes(SCHEMA) if "$ref" not in node and "description" not in node
    ]
    assert undescribed == []


def named_nodes(node: Any, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in ("properties", "patternProperties", "$defs"):
        for name, child in node.get(kind, {}).items():
            yield f"{key}/{name}", child
            yield from named_nodes(child, f"{key}/{name}")
    for kind in ("items", "additionalProperties"):
        if isinstance(node.get(kind), dict):
            yield f"{key}/{kind}", node[kind]
            yield from named_nodes(node[kind], f"{key}/{kind}")


def test_a_run_and_its_evaluation_follow_the_schema(run: Path, outputs: Path) -> None:
    assert faults(run) == []
    best = run / "checkpoints" / "best.ckpt"
    drawn = ["data=synthetic", "data.seed=5", "data.synthetic.num_tiles=80", "data.synthetic.tile_px=64"]
    assert (
        main(["evaluate", f"checkpoint={best}", *drawn, f"outputs={outputs / 'other'}", "progress=false"])
        == 0
    )
    [folder] = (outputs / "other").glob("*/*")
    assert faults(folder) == []
    title = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))["title"]
    assert title == "mobilenetv3_small on synthetic"


def test_a_probe_of_three_classes_follows_the_schema(
    tmp_path: Path, tiny: list[str], tiny_weights: str
) -> None:
    rng = np.random.default_rng(0)
    for number, name in enumerate(("crack", "intact", "spall")):
        (tmp_path / "tiles" / name).mkdir(parents=True)
        for tile in range(30):
            pixels = rng.integers(40 * number, 40 * number + 80, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "tiles" / name / f"{tile}.png")
    own = ["data=image_folder", f"data.root={tmp_path / 'tiles'}", "recipe=probe", f"outputs={tmp_path}"]
    own += [f"model.weights={tiny_weights}", "data.split.recover_photos=false", "augmentation=none"]
    kept = [argument for argument in tiny if not argument.startswith(("data.synthetic", "trainer="))]
    assert main(["train", *kept, *own]) == 0
    [folder] = tmp_path.glob("*/*_image_folder")
    assert faults(folder) == []
    assert "spall" in (folder / "checkpoints" / "README.md").read_text(encoding="utf-8")
