"""The search space, in Hydra's grammar of sweeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import IntervalSweep, RangeSweep

from crack_lightning.runtime.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hydra.core.override_parser.types import Override


_SAME_STEP = 1e-6


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One dimension of a search space.

    Attributes:
        key: The key or group, as typed.
        choices: The values to choose from; empty for a range of numbers.
        low: Lower end of the range.
        high: Upper end of the range, inclusive.
        step: Step between two numbers; ``None`` for a continuous range.
        log: Whether the scale is logarithmic.
        whole: Whether the numbers are integers.
        only_if: The condition: the key of another dimension, and the values with which this one is varied.
    """

    key: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    whole: bool = False
    only_if: tuple[str, tuple[str, ...]] | None = None

    def applies(self, params: Mapping[str, Any]) -> bool:
        """Return whether its condition holds for the given values of other dimensions."""
        return self.only_if is None or str(params.get(self.only_if[0])) in self.only_if[1]

    def holds(self, value: object) -> bool:
        """Return whether the value lies in this dimension."""
        if self.choices:
            return value in self.choices
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        if not self.low <= value <= self.high:
            return False
        steps = 0 if self.step is None else (value - self.low) / self.step
        return abs(steps - round(steps)) < _SAME_STEP

    @property
    def ends(self) -> tuple[Any, ...]:
        """Its choices, or both ends of its range."""
        numbers = (self.low, self.high)
        return self.choices or (tuple(map(round, numbers)) if self.whole else numbers)


def search_space(overrides: Sequence[Override], only_if: Mapping[str, str]) -> list[Dimension]:
    """Return the dimensions of overrides; those with a condition come last.

    Args:
        overrides: Sweep overrides, those with several values.
        only_if: By key, ``other=value`` or ``other=value,value``.

    Raises:
        ConfigError: If a range is empty or a condition names no other dimension.
    """
    plain = {override.get_key_element(): _dimension(override) for override in overrides}
    free = [key for key in plain if key not in only_if]
    for key, condition in only_if.items():
        other, equals, values = condition.partition("=")
        if key not in plain:
            raise ConfigError(f"sweep.only_if: '{key}' is not varied{_hint(key, plain)}")
        if other not in free or not equals:
            raise ConfigError(
                f"sweep.only_if.{key}: expected key=value with one of {', '.join(free) or 'no keys'}, which "
                f"are varied without a condition, got '{condition}'."
            )
        own = plain[key]
        plain[key] = Dimension(**{**vars(own), "only_if": (other, tuple(values.split(",")))})
    return sorted(plain.values(), key=lambda dimension: dimension.only_if is not None)


def require_in_space(params: Mapping[str, Any], dimensions: Sequence[Dimension], *, job: int) -> None:
    """Refuse parameters of an untrusted journal that lie outside the search space.

    Args:
        params: The parameters of a job, values by key.
        dimensions: The search space of the command line.
        job: The job's number, for the error.

    Raises:
        ConfigError: If a key is not varied or is missing, or a value is outside its dimension.
    """
    varied = {dimension.key: dimension for dimension in dimensions if dimension.applies(params)}
    for key in [*params, *varied]:
        if key not in varied or key not in params or not varied[key].holds(params[key]):
            expected = f"one of {varied[key].ends}" if key in varied else "no such key"
            raise ConfigError(
                f"sweep.resume: of job {job} {key} is expected from the space of this command line "
                f"({expected}), got {repr(params.get(key))[:80]}; repeat the command that started the sweep, "
                "or start a new one."
            )


def corner_trials(dimensions: Sequence[Dimension]) -> list[dict[str, Any]]:
    """Return trials that cover every choice and both ends of every range, for checks before the search.

    Args:
        dimensions: The search space; those with a condition last.
    """
    trials = []
    for dimension in dimensions:
        for value in dimension.ends:
            chosen = {dimension.key: value}
            if dimension.only_if:
                other, values = dimension.only_if
                chosen[other] = values[0]
            params: dict[str, Any] = {}
            for item in dimensions:
                if item.applies(params):
                    params[item.key] = chosen.get(item.key, item.ends[0])
            trials.append(params)
    return list({repr(params): params for params in trials}.values())


def _hint(key: str, keys: Mapping[str, Any]) -> str:
    match = nearest(key, keys)
    return f"; did you mean {match}?" if match else f"; expected one of {', '.join(keys) or 'none'}."


def _dimension(override: Override) -> Dimension:
    key, sweep = override.get_key_element(), override.value()
    tags: set[str] = getattr(sweep, "tags", set())
    if unknown := sorted(tags - {"log", "int"}):
        raise ConfigError(f"{key}: no tag '{unknown[0]}'; expected log or int.")
    log = "log" in tags
    match sweep:
        case IntervalSweep():
            assert sweep.start is not None
            assert sweep.end is not None
            dimension = Dimension(
                key=key, low=float(sweep.start), high=float(sweep.end), log=log, whole="int" in tags
            )
        case RangeSweep():
            numbers = sorted(sweep.range())
            low, high = (numbers[0], numbers[-1]) if numbers else (1, 0)
            whole = all(isinstance(number, int) for number in numbers)
            step = None if log else abs(float(sweep.step))
            dimension = Dimension(key=key, low=float(low), high=float(high), step=step, log=log, whole=whole)
        case _:
            if log:
                raise ConfigError(f"{key}: tag(log, …) is for interval and range, got choices.")
            choices = tuple(override.sweep_string_iterator())
            if not choices:
                raise ConfigError(
                    f"{key}: expected values to choose from, got {override.get_value_string()}, which fits "
                    "no option; write them with commas between."
                )
            return Dimension(key=key, choices=choices)
    if dimension.low > dimension.high or (log and dimension.low <= 0):
        needed = f"{'numbers above 0' if log else 'numbers'}, the lower first"
        raise ConfigError(f"{key}: expected {needed}, got {override.get_value_string()}.")
    return dimension
