"""Checkpoints of trained models: writing, and loading without executing code of the file."""

from __future__ import annotations

import pickle
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from crack_lightning.model.backends.inference_model import InferenceModel, InferenceParts
from crack_lightning.model.weights.builtin import BUILTIN, load_builtin
from crack_lightning.model.weights.checkpoint_checks import require_model, require_stored, require_values
from crack_lightning.model.weights.foreign_files import describe_file, describe_values
from crack_lightning.runtime.errors import CheckpointError, CrackLightningError
from crack_lightning.runtime.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crack_lightning.model.classifier import CrackClassifier

C = TypeVar("C", bound=InferenceParts)
BEST, LAST = "best.ckpt", "last.ckpt"
_MODEL_KEYS = (
    "state_dict",
    "hyper_parameters",
    "train_fingerprints",
    "ood_detector",
    "epoch",
    "global_step",
    "pytorch-lightning_version",
)


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint atomically; ``best.ckpt`` holds the model alone, as no training continues from it.

    Raises:
        CrackLightningError: If the file cannot be written.
    """
    if path.name == BEST:
        checkpoint = {name: value for name, value in checkpoint.items() if name in _MODEL_KEYS}
    try:
        with atomic_write(path) as temporary:
            torch.save(checkpoint, temporary)
    except (OSError, RuntimeError) as error:
        raise CrackLightningError(
            f"checkpoint: cannot write '{path}' ({error}); is the disk full?"
        ) from error


def save_model(classifier: InferenceParts, path: Path) -> None:
    """Write a model that was fitted without Lightning's Trainer."""
    checkpoint: dict[str, Any] = {
        "state_dict": classifier.state_dict(),
        "hyper_parameters": dict(classifier.hparams),
        "epoch": 0,
        "global_step": 0,
        "pytorch-lightning_version": version("pytorch-lightning"),
    }
    write_checkpoint(checkpoint | classifier.extras(), path)


def save_decision(classifier: InferenceParts, path: Path) -> None:
    """Write a classifier's temperature, threshold and OOD detector into its checkpoint."""
    checkpoint = read_checkpoint(path)
    checkpoint |= classifier.extras()
    checkpoint["hyper_parameters"] |= {key: classifier.hparams[key] for key in ("temperature", "threshold")}
    write_checkpoint(checkpoint, path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint's plain values and tensors.

    Args:
        path: A file that a run wrote.

    Returns:
        Lightning's dictionary, tensors on the CPU.

    Raises:
        CheckpointError: If the file is missing, damaged, or holds more than plain values and tensors.
    """
    if not path.is_file():
        raise CheckpointError.missing(path)
    if reason := describe_file(path):
        raise CheckpointError.unsupported(path, reason)
    try:
        require_stored(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"checkpoint: '{path}' holds more than weights and plain values, which could run code; "
            "it was not loaded. Give a run's checkpoints/best.ckpt, or builtin."
        ) from None
    except Exception as error:  # noqa: BLE001  # torch.load raises many kinds for damaged files
        raise CheckpointError(
            f"checkpoint: '{path}' is damaged ({_reason(error)}); give another file."
        ) from None
    if reason := describe_values(loaded):
        raise CheckpointError.unsupported(path, reason)
    try:
        return require_model(loaded)
    except ValueError as error:
        raise CheckpointError(
            f"checkpoint: '{path}' holds no model of crack_lightning ({_reason(error)}); "
            "give a run's best.ckpt."
        ) from None


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]


def load_classifier(path: Path) -> CrackClassifier:
    """Rebuild a classifier for training or tests, in evaluation mode on the CPU.

    Args:
        path: A run's ``best.ckpt`` or ``last.ckpt``, or ``builtin``.

    Raises:
        CheckpointError: If the file cannot be read, or is of another model or version.
    """
    from crack_lightning.model.classifier import CrackClassifier

    return _rebuild(CrackClassifier, path)


def load_trained(path: Path) -> InferenceModel:
    """Rebuild a classifier for inference alone, without Lightning, in evaluation mode on the CPU.

    Args:
        path: As for :func:`load_classifier`.

    Raises:
        CheckpointError: As for :func:`load_classifier`.
    """
    return _rebuild(InferenceModel, path)


def _rebuild(kind: type[C], path: Path) -> C:
    if str(path) == BUILTIN:
        return load_builtin(kind)
    checkpoint = read_checkpoint(path)
    with _as_checkpoint_error(path):
        require_values(checkpoint["hyper_parameters"])
        classifier = kind(**checkpoint["hyper_parameters"])
        classifier.restore(checkpoint)
    return classifier.eval()


@contextmanager
def _as_checkpoint_error(path: Path) -> Iterator[None]:
    """Convert errors of building a model into a :class:`CheckpointError` that names the file."""
    try:
        yield
    except (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError) as error:
        raise _invalid(path, error) from None
    except (TypeError, ValueError) as error:
        raise _invalid(path, error) from None


def _invalid(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"checkpoint: '{path}' is no model of this version ({_reason(error)}); train it again."
    )
