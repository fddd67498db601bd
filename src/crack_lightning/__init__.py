"""Config-composed experiments for concrete-crack image classification."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from crack_lightning.inference.predictor import PicturePredictions, Predictor

__version__ = "0.1.0"
__all__ = ["PicturePredictions", "Predictor", "load"]


def load(path: str | Path, *, device: str = "cpu") -> Predictor:
    """Load a trained model.

    Args:
        path: A run's ``checkpoints/best.ckpt``, or ``builtin`` for the head that comes with the package.
        device: Where to compute, for example ``cpu`` or ``cuda``.

    Returns:
        A predictor, used as in ``load("best.ckpt").predict(paths_or_arrays)``.

    Raises:
        CheckpointError: If the file is missing, damaged, or no checkpoint of this package.
    """
    from crack_lightning.inference.predictor import Predictor
    from crack_lightning.runtime.files.paths import expand_user

    return Predictor.load(expand_user(os.fspath(path)), device=device)


def __getattr__(name: str) -> Any:
    if name in __all__:
        from crack_lightning.inference import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
