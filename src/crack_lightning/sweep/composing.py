"""From what was typed to the jobs' configurations, each checked before any job starts."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, cast

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from crack_lightning.config import parse
from crack_lightning.config.sweep import SweepConfig
from crack_lightning.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hydra.core.override_parser.types import Override
    from hydra.types import HydraContext

    from crack_lightning.sweep.journal import Job

MAY_CHANGE = ("outputs", "progress")
_SHOWN = 8


class Composer:
    """What a sweep was asked.

    Attributes:
        command: The command's name, such as ``train``.
        sweep: The sweep's own settings.
        overrides: What was typed for the jobs.

    Args:
        arguments: Overrides in Hydra's grammar.
        context: Hydra's, to compose each job's configuration.
        config: The sweep's configuration, with the ``hydra`` node.

    Raises:
        ConfigError: If the command takes no ``-m``, or several values are given for one of the sweep's keys.
    """

    def __init__(self, arguments: Sequence[str], *, context: HydraContext, config: DictConfig) -> None:
        self._context, self._config = context, config
        self.command = str(config.hydra.job.config_name)
        self.module = importlib.import_module(f"crack_lightning.{self.command}")
        if "sweep" not in config:
            raise ConfigError(f"{self.command}: there is nothing to sweep over; leave out -m.")
        node = OmegaConf.merge(OmegaConf.structured(SweepConfig), config.sweep)
        self.sweep = cast("SweepConfig", OmegaConf.to_object(node))
        self.overrides: list[Override] = []
        for override in OverridesParser.create().parse_overrides(list(arguments)):
            if not override.key_or_group.startswith("sweep."):
                self.overrides.append(override)
            elif override.is_sweep_override():
                raise ConfigError(
                    f"{override.key_or_group}: one value for the whole sweep is expected, got "
                    f"'{override.get_value_string()}'; give one."
                )

    def combinations(self) -> list[list[str]]:
        """Return the overrides of each job of a grid."""
        return [list(found) for found in BasicSweeper.split_arguments(self.overrides, max_batch_size=None)[0]]

    def compose(self, overrides: Sequence[str]) -> dict[str, Any]:
        """Return a job's configuration as plain values, checked.

        Raises:
            ConfigError: If it is wrong.
        """
        composed = self._context.config_loader.load_sweep_config(self._config, list(overrides))
        with open_dict(composed):
            del composed["hydra"], composed["sweep"]
        checked = parse(composed, self.module.SCHEMA)
        if getattr(checked, "resume", None):
            raise ConfigError(
                f"resume: one run at a time goes on, got '{checked.resume}' in a sweep; leave out -m, or "
                "give a sweep's folder as sweep.resume."
            )
        return cast("dict[str, Any]", OmegaConf.to_container(composed, resolve=True))


def require_same(jobs: Sequence[Job], configs: Sequence[Mapping[str, Any]]) -> None:
    """Refuse to go on with a sweep whose jobs are no longer the ones that were planned.

    Args:
        jobs: The jobs as they were planned.
        configs: The configurations that the command line composes to now.

    Raises:
        ConfigError: With the settings that differ, then and now.
    """
    if len(jobs) != len(configs):
        raise ConfigError(
            f"sweep.resume: the sweep has {len(jobs)} jobs, and this command line makes {len(configs)}; "
            "repeat the command that started it."
        )
    found = [
        f"{key} of job {job.number} was {was!r} and is {now!r}"
        for job, config in zip(jobs, configs, strict=True)
        for key, was, now in differences(job.config, config)
        if key not in MAY_CHANGE
    ]
    if found:
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ConfigError(
            f"sweep.resume: a resumed sweep keeps its settings: {'; '.join(found[:_SHOWN])}{more}. "
            "Repeat the command that started it, or start a new sweep."
        )


def differences(
    was: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the full keys whose values differ, with both values; ``None`` where one lacks the key.

    >>> list(differences({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3, "d": 4}}))
    [('b.c', 2, 3), ('b.d', None, 4)]
    """
    for key in dict.fromkeys([*was, *now]):
        left, right = was.get(key), now.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            yield from differences(left, right, f"{prefix}{key}.")
        elif left != right:
            yield f"{prefix}{key}", left, right
