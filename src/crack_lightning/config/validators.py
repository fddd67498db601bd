"""Validators of folders, files and mappings."""

from __future__ import annotations

from pathlib import Path

from crack_lightning.runtime.errors import CheckpointError, ConfigError


def require_free_folder(key: str, folder: Path) -> None:
    """Refuse a run folder that is not empty, or is a file.

    Raises:
        ConfigError: If it is not free.
    """
    if folder.is_dir() and any(folder.iterdir()):
        resume_hint = f"resume={folder} goes on with the run there; or " * (folder / "state.json").is_file()
        raise ConfigError(
            f"{key}: a folder that is new or empty is expected, and '{folder}' holds files, which are kept; "
            f"{resume_hint}give another folder."
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{key}: a folder is expected, and '{folder}' is a file; give another path.")


def require_checkpoint(path: str) -> None:
    """Refuse a missing checkpoint, before torch is imported.

    Raises:
        CheckpointError: If it is neither ``builtin`` nor a file.
    """
    if path != "builtin" and not Path(path).is_file():
        raise CheckpointError.missing(path)


def require_weights(weights: str) -> None:
    """Refuse a missing file of weights.

    Raises:
        CheckpointError: If it is neither ``none`` nor ``imagenet`` nor a file.
    """
    if weights not in ("none", "imagenet") and not Path(weights).is_file():
        raise CheckpointError.missing_weights(weights)


def require_mapping(key: str, value: object, *, of: type, wanted: str) -> None:
    """Refuse what is neither ``None`` nor a mapping to values of one type.

    For keys of type ``Any``: Hydra cannot override an optional mapping that is ``None`` if the schema gives
    its type.

    Raises:
        ConfigError: If ``value`` is something else; ``wanted`` says what is expected.
    """
    if value is None or (isinstance(value, dict) and all(isinstance(item, of) for item in value.values())):
        return
    raise ConfigError(f"{key}: expected {wanted}, got {value!r}.")
