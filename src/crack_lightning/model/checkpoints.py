"""Reading a trained model back without running what the file holds."""

from __future__ import annotations

import pickle
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from crack_lightning.errors import CheckpointError
from crack_lightning.model.builtin import BUILTIN, load_builtin
from crack_lightning.model.trained import TrainedClassifier

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
    if not zipfile.is_zipfile(path):
        raise CheckpointError(
            f"checkpoint: '{path}' is damaged or is no checkpoint; give a run's checkpoints/best.ckpt."
        )
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"checkpoint: '{path}' holds more than weights and plain values, which could run code; "
            "it was not loaded."
        ) from None
    except (OSError, RuntimeError, EOFError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"checkpoint: '{path}' is damaged ({reason}); give another file.") from None
    if not isinstance(loaded, dict) or not {"state_dict", "hyper_parameters"} <= loaded.keys():
        raise CheckpointError(
            f"checkpoint: '{path}' holds no model of crack_lightning; give a run's best.ckpt."
        )
    return loaded


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
        classifier = CrackClassifier(**checkpoint["hyper_parameters"])
        classifier.load_state_dict(checkpoint["state_dict"])
        classifier.on_load_checkpoint(checkpoint)
    return classifier.eval()


def load_trained(path: Path) -> TrainedClassifier:
    """Rebuild what answers of a classifier, without Lightning, in evaluation mode on the CPU.

    Args:
        path: As for :func:`load_classifier`.

    Raises:
        CheckpointError: As for :func:`load_classifier`.
    """
    if str(path) == BUILTIN:
        return load_builtin(TrainedClassifier)
    checkpoint = read_checkpoint(path)
    with _naming(path):
        classifier = TrainedClassifier(**checkpoint["hyper_parameters"])
        classifier.take_weights(checkpoint["state_dict"])
        classifier.take_up(checkpoint)
    return classifier.eval()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file whose values make no classifier."""
    try:
        yield
    except (AttributeError, TypeError, KeyError, ValueError, RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"checkpoint: '{path}' is no model of this version ({reason}); train it again."
        ) from None
