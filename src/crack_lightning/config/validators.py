"""One sentence for a value that is wrong."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.runtime.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def require_range(
    key: str, value: float, *, low: float, high: float | None = None, exclusive: bool = False
) -> None:
    """Refuse a number outside ``[low, high]``, or outside ``(low, high)`` where ``exclusive``.

    Raises:
        ConfigError: If ``value`` is outside.
    """
    inside = low <= value and (high is None or value <= high)  # False for NaN
    if not inside or (exclusive and value in (low, high)):
        wanted = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ConfigError(f"{key}: expected a number {wanted}, got {value}.")


def require_pair(key: str, value: Sequence[float], *, low: float, high: float) -> None:
    """Refuse what is not two ascending numbers in ``[low, high]``.

    Raises:
        ConfigError: If ``value`` is something else.
    """
    if len(value) != 2 or not low <= value[0] <= value[1] <= high:
        raise ConfigError(
            f"{key}: expected [low, high], two ascending numbers between {low:g} and {high:g}, "
            f"got {list(value)}."
        )


def require_seed(key: str, value: int) -> None:
    """Refuse a number that numpy's and torch's generators do not take alike: they agree on 32 bits.

    Raises:
        ConfigError: If ``value`` is outside.
    """
    require_range(key, value, low=0, high=2**32 - 1)


def require_choice(key: str, value: str, choices: Collection[str]) -> None:
    """Refuse a word that is not one of ``choices``.

    Raises:
        ConfigError: If ``value`` is another word.
    """
    if value not in choices:
        raise ConfigError(f"{key}: expected one of {', '.join(choices)}, got '{value}'.")


def require_free_folder(key: str, folder: Path) -> None:
    """Refuse a folder that a run cannot have for itself: it holds files, or is one.

    Raises:
        ConfigError: If there is something.
    """
    if folder.is_dir() and any(folder.iterdir()):
        goes_on = f"resume={folder} goes on with the run there; or " * (folder / "state.json").is_file()
        raise ConfigError(
            f"{key}: a folder that is new or empty is expected, and '{folder}' holds files, which are kept; "
            f"{goes_on}give another folder."
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{key}: a folder is expected, and '{folder}' is a file; give another path.")


def require_checkpoint(path: str) -> None:
    """Refuse a checkpoint that is not there, before what could read it is imported.

    Raises:
        CheckpointError: If it is neither ``builtin`` nor a file.
    """
    if path != "builtin" and not Path(path).is_file():
        raise CheckpointError.missing(path)


def require_weights(weights: str) -> None:
    """Refuse a file of weights that is not there, likewise.

    Raises:
        CheckpointError: If it is neither ``none`` nor ``imagenet`` nor a file.
    """
    if weights not in ("none", "imagenet") and not Path(weights).is_file():
        raise CheckpointError.missing_weights(weights)


def require_mapping(key: str, value: object, *, of: type, wanted: str) -> None:
    """Refuse what is neither ``None`` nor a mapping to values of one type.

    Hydra cannot override an optional mapping that is ``None`` where the schema gives its type; such a key is
    ``Any`` there, and checked here.

    Raises:
        ConfigError: If ``value`` is something else; ``wanted`` says what is expected.
    """
    if value is None or (isinstance(value, dict) and all(isinstance(item, of) for item in value.values())):
        return
    raise ConfigError(f"{key}: expected {wanted}, got {value!r}.")


def unused_keys(
    node: object, prefix: str, keys: Collection[str], *, by: str, mend: str = "leave it out"
) -> list[str]:
    """List the keys of a node that differ from their defaults although a command does not read them.

    Args:
        node: A dataclass.
        prefix: Its full key, such as ``trainer``.
        keys: Those of its fields that are not read, also of nodes below, as ``split.seed``.
        by: The command.
        mend: The next step.
    """
    plain = type(node)()
    return [
        f"{prefix}.{key}: {by} does not read it; {mend}."
        for key in keys
        if attrgetter(key)(node) != attrgetter(key)(plain)
    ]
