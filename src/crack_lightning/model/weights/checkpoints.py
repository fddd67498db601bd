"""Reading a trained model back without running what the file holds."""

from __future__ import annotations

import pickle
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from crack_lightning.model.backends.inference_model import InferenceModel
from crack_lightning.model.weights.builtin import BUILTIN, load_builtin
from crack_lightning.model.weights.checkpoint_checks import require_model, require_stored, require_values
from crack_lightning.model.weights.foreign_files import describe_file, describe_values
from crack_lightning.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crack_lightning.model.classifier import CrackClassifier


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
    if told := describe_file(path):
        raise CheckpointError.foreign(path, told)
    try:
        require_stored(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"checkpoint: '{path}' holds more than weights and plain values, which could run code; "
            "it was not loaded. Give a run's checkpoints/best.ckpt, or builtin."
        ) from None
    except Exception as error:  # noqa: BLE001  # a damaged file fails in as many ways as there are bytes
        raise CheckpointError(
            f"checkpoint: '{path}' is damaged ({_reason(error)}); give another file."
        ) from None
    if told := describe_values(loaded):
        raise CheckpointError.foreign(path, told)
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
    """Rebuild a classifier that can go on learning or be tested, in evaluation mode on the CPU.

    Args:
        path: A run's ``best.ckpt`` or ``last.ckpt``, or ``builtin``.

    Raises:
        CheckpointError: If the file cannot be read, or is of another model or version.
    """
    from crack_lightning.model.classifier import CrackClassifier

    if str(path) == BUILTIN:
        return load_builtin(CrackClassifier)
    checkpoint = read_checkpoint(path)
    with _naming(path):
        require_values(checkpoint["hyper_parameters"])
        classifier = CrackClassifier(**checkpoint["hyper_parameters"])
        classifier.load_state_dict(checkpoint["state_dict"])
        classifier.on_load_checkpoint(checkpoint)
    return classifier.eval()


def load_trained(path: Path) -> InferenceModel:
    """Rebuild what answers of a classifier, without Lightning, in evaluation mode on the CPU.

    Args:
        path: As for :func:`load_classifier`.

    Raises:
        CheckpointError: As for :func:`load_classifier`.
    """
    if str(path) == BUILTIN:
        return load_builtin(InferenceModel)
    checkpoint = read_checkpoint(path)
    with _naming(path):
        require_values(checkpoint["hyper_parameters"])
        classifier = InferenceModel(**checkpoint["hyper_parameters"])
        classifier.take_weights(checkpoint["state_dict"])
        classifier.take_up(checkpoint)
    return classifier.eval()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file whose values make no classifier."""
    try:
        yield
    except (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError) as error:
        raise _foreign(path, error) from None
    except (RuntimeError, TypeError, ValueError) as error:
        raise _foreign(path, error) from None


def _foreign(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"checkpoint: '{path}' is no model of this version ({_reason(error)}); train it again."
    )
