"""The model card beside a checkpoint, in the layout of the Hugging Face Hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from huggingface_hub import EvalResult, ModelCardData

from crack_lightning.report.render.document import Links, Pictures
from crack_lightning.report.render.markdown import markdown_blocks, plain
from crack_lightning.report.sections.calibration import calibration_section
from crack_lightning.report.sections.data import data_section
from crack_lightning.report.sections.metrics import metric_keys, metrics_section
from crack_lightning.report.sections.pod import pod_section
from crack_lightning.report.sections.threshold import threshold_section

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crack_lightning.report.render.document import Block


def model_card(contents: Mapping[str, Any]) -> str:
    """Write a model card: YAML front matter with the test metrics, then Markdown sections.

    Args:
        contents: The contents of the run's report.

    References:
        Mitchell et al., "Model Cards for Model Reporting", FAT* 2019; the Hub's model card template.
    """
    provenance, classes = contents["provenance"], ", ".join(contents["class_names"])
    settings = provenance["settings"]
    model = settings["model"]
    sections: dict[str, list[Block]] = {
        "Model details": [
            f"A classifier of concrete tiles into {classes}: {model['name']}, {provenance['parameters']:,} "
            f"parameters, input {model['image_size']} px, made by crack-lightning "
            f"{provenance['versions']['crack-lightning']}. " + _DETAILS
        ],
        "Uses": [_USES],
        "Bias, risks and limitations": [
            contents["verdict"],
            *contents["warnings"],
            *contents["uncertainty"]["notes"],
            *pod_section(contents).blocks,
        ],
        "Training details": [
            *data_section(contents).blocks,
            f"Recipe {settings['recipe']['name']}, weights {model['weights']} at the start, seed "
            f"{settings['seed']}. "
            + (f"The command was: {provenance['command']}" if provenance["command"] else ""),
        ],
        "Evaluation": [
            *metrics_section(contents).blocks,
            *threshold_section(contents).blocks,
            *calibration_section(contents).blocks,
        ],
    }
    parts = [f"---\n{_front_matter(contents)}\n---", f"# {plain(contents['title'])}"]
    for title, blocks in sections.items():
        parts += [f"## {title}", *markdown_blocks(_without_files(blocks), {})]
        if title == "Uses":
            parts += ["## How to get started", _START]
    return "\n\n".join(parts) + "\n"


_DETAILS = "Classes, normalisation, temperature and threshold are in best.ckpt."
_USES = (
    "For tiles like the test tiles: the metrics below hold for these only, and not for other walls, cameras, "
    "distances or light. Test the model on labelled tiles of your own first (crack-lightning evaluate). A "
    "negative prediction does not prove that there is no crack."
)
_START = """```python
from crack_lightning import load

model = load("best.ckpt")
predictions = model.predict(["photo.jpg"])
```"""


def _without_files(blocks: Iterable[Block]) -> list[Block]:
    """Return the blocks without links and pictures, whose files are not beside the card."""
    return [block for block in blocks if not isinstance(block, Links | Pictures)]


def _front_matter(contents: Mapping[str, Any]) -> str:
    metrics, sources = contents["metrics"], ", ".join(contents["data"]["sources"])
    results = []
    for key, metric in metric_keys(contents).items():
        if metric.hub_name is not None and (value := metrics[key]) is not None:
            results.append(
                EvalResult(
                    task_type="image-classification",
                    dataset_type=sources,
                    dataset_name=f"{sources}, {metrics['tiles']} test tiles",
                    metric_type=metric.hub_name,
                    metric_value=value,
                )
            )
    data = ModelCardData(
        library_name="crack-lightning",
        pipeline_tag="image-classification",
        tags=["image-classification", "concrete", "crack"],
        model_name=contents["title"],
        eval_results=results,
    )
    return str(data.to_yaml())
