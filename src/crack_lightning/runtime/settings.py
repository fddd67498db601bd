"""Settings: meaning and permitted values of a dataclass field in its metadata, and their check."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import MISSING as NO_DEFAULT, dataclass, field, fields
from inspect import getdoc
from typing import TYPE_CHECKING, Any

from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from dataclasses import Field


@dataclass(frozen=True)
class Setting:
    """Meaning and permitted values of a field; range and choices of a list apply to each item.

    Attributes:
        meaning: Sentences for ``--help`` and the configuration reference; keys and values in backticks.
        low: Smallest number; ``None`` for no range.
        high: Largest number; ``None`` for no upper limit.
        exclusive: Whether the limits are excluded.
        pair: Whether the value is a list ``[low, high]`` of two ascending numbers.
        choices: Permitted words; empty for any.
        values: Permitted values in words, where they are more than a range or a choice.
        text: ``path`` (``~`` is expanded) or ``plain`` for texts and lists of texts, which need no quotes on
            the command line; empty for values in Hydra's grammar.
        unread: Keys below a node that the command does not read; a node's name means all its keys.
    """

    meaning: str
    low: float | None = None
    high: float | None = None
    exclusive: bool = False
    pair: bool = False
    choices: tuple[str, ...] = ()
    values: str = ""
    text: str = ""
    unread: tuple[str, ...] = ()

    def check(self, key: str, value: Any) -> None:
        """Refuse a value outside the range or the choices; ``None`` passes, as the field's type allows it.

        Raises:
            ConfigError: With the key, the permitted values and the value.
        """
        if value is None:
            return
        items = value if isinstance(value, list) else [value]
        if self.pair:
            assert self.low is not None, key
            assert self.high is not None, key
            require_pair(key, value, low=self.low, high=self.high)
        elif self.choices:
            for item in items or [""]:
                require_choice(key, item, self.choices)
        elif self.low is not None:
            for item in items:
                require_range(key, item, low=self.low, high=self.high, exclusive=self.exclusive)


def setting(
    default: Any,
    meaning: str,
    *,
    low: float | None = None,
    high: float | None = None,
    exclusive: bool = False,
    pair: bool = False,
    choices: Collection[str] = (),
    values: str = "",
    text: str = "",
) -> Any:
    """Return a dataclass field with its meaning and permitted values, as in :class:`Setting`.

    >>> @dataclass
    ... class Example:
    ...     rate: float = setting(0.1, "Learning rate.", low=0, high=1)
    >>> settings_of(Example)["rate"].meaning
    'Learning rate.'
    """
    entry = Setting(meaning, low, high, exclusive, pair, tuple(choices), values, text)
    if isinstance(default, list | dict):
        return field(default_factory=lambda: deepcopy(default), metadata={"setting": entry})
    return field(default=default, metadata={"setting": entry})


def seed_setting(meaning: str) -> Any:
    """Return a field for a seed of 32 bits, the range that numpy's and torch's generators share."""
    return setting(0, meaning, low=0, high=2**32 - 1)


def node(
    schema: type[Any],
    meaning: str = "",
    *,
    unread: Sequence[str] = (),
    factory: Callable[[], Any] | None = None,
) -> Any:
    """Return a dataclass field that holds the settings of another dataclass.

    Args:
        schema: The dataclass.
        meaning: Meaning of the node; the first line of the class's docstring by default.
        unread: Keys below it that the command does not read, as ``sampler`` or ``split.seed``.
        factory: Makes its default; the dataclass itself by default.
    """
    entry = Setting(meaning or str(getdoc(schema)).partition("\n")[0], unread=tuple(unread))
    return field(default_factory=factory or schema, metadata={"setting": entry})


def keys_except(schema: type[Any], *read: str, prefix: str = "") -> tuple[str, ...]:
    """Return the keys of a dataclass without those in ``read``, each after ``prefix``."""
    return tuple(prefix + item.name for item in fields(schema) if item.name not in read)


def setting_of(item: Field[Any]) -> Setting | None:
    """Return the setting of a field, ``None`` where it has none."""
    entry = item.metadata.get("setting")
    return entry if isinstance(entry, Setting) else None


def settings_of(schema: type[Any]) -> dict[str, Setting]:
    """Return the settings of a dataclass by the names of its fields."""
    return {item.name: entry for item in fields(schema) if (entry := setting_of(item)) is not None}


def default_of(item: Field[Any]) -> Any:
    """Return a field's default."""
    return item.default if item.default_factory is NO_DEFAULT else item.default_factory()


def check_settings(config: Any, prefix: str = "") -> None:
    """Check every field of a dataclass against its setting.

    Args:
        config: An instance of the dataclass.
        prefix: Its full key, such as ``recipe.loss``; empty for a command's own.

    Raises:
        ConfigError: For the first value outside its range or choices.
    """
    for name, entry in settings_of(type(config)).items():
        entry.check(f"{prefix}.{name}" if prefix else name, getattr(config, name))


def unread_problems(config: Any, *, by: str) -> Iterator[str]:
    """Yield a problem for each key that differs from its default although the command does not read it.

    Args:
        config: An instance of the command's dataclass.
        by: The command.
    """
    for name, entry in settings_of(type(config)).items():
        yield from unused_keys(getattr(config, name), name, entry.unread, by=by)


def require_range(
    key: str, value: float, *, low: float, high: float | None = None, exclusive: bool = False
) -> None:
    """Refuse a number outside ``[low, high]``, or outside ``(low, high)`` where ``exclusive``.

    Raises:
        ConfigError: If ``value`` is outside.
    """
    inside = low <= value and (high is None or value <= high)  # False for NaN
    if not inside or (exclusive and value in (low, high)):
        expected = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ConfigError(f"{key}: expected a number {expected}, got {value}.")


def require_pair(key: str, value: Sequence[float], *, low: float, high: float) -> None:
    """Refuse a value other than two ascending numbers in ``[low, high]``.

    Raises:
        ConfigError: If ``value`` is something else.
    """
    if len(value) != 2 or not low <= value[0] <= value[1] <= high:
        raise ConfigError(
            f"{key}: expected [low, high], two ascending numbers between {low:g} and {high:g}, "
            f"got {list(value)}."
        )


def require_choice(key: str, value: str, choices: Collection[str]) -> None:
    """Refuse a word that is not one of ``choices``.

    Raises:
        ConfigError: If ``value`` is another word.
    """
    if value not in choices:
        raise ConfigError(f"{key}: expected one of {', '.join(choices)}, got '{value}'.")


def unused_keys(
    node: object, prefix: str, keys: Collection[str], *, by: str, hint: str = "leave it out"
) -> list[str]:
    """List the keys of a node that differ from their defaults although a command does not read them.

    Args:
        node: A dataclass.
        prefix: Its full key, such as ``trainer``.
        keys: Its keys that are not read, also nested ones such as ``split.seed``.
        by: The command.
        hint: The next step.
    """
    plain = type(node)()
    return [
        f"{prefix}.{key}: {by} does not read it; {hint}."
        for key in keys
        if _value(node, key) != _value(plain, key)
    ]


def _value(node: object, key: str) -> Any:
    """Return the value of a key below a node, ``None`` where the node has no such key."""
    for name in key.split("."):
        node = getattr(node, name, None)
    return node
