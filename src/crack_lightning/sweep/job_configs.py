"""Composition of the jobs' configurations from the command line; each is checked before any job starts."""

from __future__ import annotations

import importlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from crack_lightning.config import (
    SCHEMAS,
    AuditConfig,
    EvaluateConfig,
    PredictConfig,
    TrainConfig,
    parse,
    plugin_names,
    require_checkpoint,
    require_weights,
)
from crack_lightning.config.hydra_folders import (
    SWEEP_SUBDIR,
    chosen_sweep_folder,
    is_chosen,
    job_subfolder,
)
from crack_lightning.config.nodes.sweep import SweepConfig
from crack_lightning.experiment.preflight import preflight_data
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.plugins import import_plugins
from crack_lightning.sweep.search.space import search_space

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hydra.core.override_parser.types import Override
    from hydra.types import HydraContext

    from crack_lightning.sweep.search.space import Dimension

MAY_CHANGE = ("outputs", "progress")
_SHOWN = 8


class JobComposer:
    """Composes and checks the configurations of a sweep's jobs; arguments as in :func:`run_sweep`.

    Attributes:
        command: The command's name, such as ``train``.
        sweep: The node ``sweep``.
        folder: ``hydra.sweep.dir`` if it was set, else ``None``.
        overrides: The jobs' overrides, of the command line and of ``sweep.space``.

    Raises:
        ConfigError: If the command takes no ``-m``, or several values are given for one of the sweep's keys.
    """

    def __init__(self, arguments: Sequence[str], *, context: HydraContext, config: DictConfig) -> None:
        self._context, self._config = context, config
        self.folder = chosen_sweep_folder(config.hydra)
        self.command = str(config.hydra.job.config_name)
        self.module = importlib.import_module(f"crack_lightning.{self.command}")
        if "sweep" not in config:
            raise ConfigError(f"{self.command}: there is nothing to sweep over; leave out -m.")
        node = OmegaConf.merge(OmegaConf.structured(SweepConfig), config.sweep)
        self.sweep = cast("SweepConfig", OmegaConf.to_object(node))
        self.sweep.require_read()
        if self.searches and self.command != "train":
            raise ConfigError(f"sweep.search: {self.command} has nothing to search for; leave it out.")
        if self.sweep.keep != "all" and self.command != "train":
            raise ConfigError(f"sweep.keep: {self.command} makes no weights; leave it out.")
        parser = OverridesParser.create(config_loader=context.config_loader)
        typed = parser.parse_overrides(list(arguments))
        typed_keys = {item.key_or_group for item in typed}
        space = {key: text for key, text in (self.sweep.space or {}).items() if key not in typed_keys}
        typed += parser.parse_overrides([f"{key}={text}" for key, text in space.items()])
        self.overrides: list[Override] = []
        for override in typed:
            if not override.key_or_group.startswith("sweep."):
                self.overrides.append(override)
            elif override.is_sweep_override():
                raise ConfigError(
                    f"{override.key_or_group}: one value for the whole sweep is expected, got "
                    f"'{override.get_value_string()}'; give one."
                )

    @property
    def searches(self) -> bool:
        """Whether a sampler proposes trials one by one."""
        return self.sweep.search != "grid"

    def trial(self, params: Mapping[str, Any]) -> list[str]:
        """Return the overrides of a trial, shared ones first."""
        return [*self.fixed, *(f"{key}={value}" for key, value in params.items())]

    @property
    def fixed(self) -> list[str]:
        """The overrides that all jobs share."""
        return [str(item.input_line) for item in self.overrides if not item.is_sweep_override()]

    def dimensions(self) -> list[Dimension]:
        """Return the dimensions of the search space."""
        varied = [override for override in self.overrides if override.is_sweep_override()]
        return search_space(varied, self.sweep.only_if or {})

    def combinations(self) -> list[list[str]]:
        """Return the overrides of each job of a grid, without the keys whose ``only_if`` condition fails.

        Raises:
            ConfigError: If a key has an interval, which no grid can exhaust.
        """
        for override in self.overrides:
            if override.is_interval_sweep():
                raise ConfigError(
                    f"{override.key_or_group}: a grid needs choices or a range, got the interval "
                    f"{override.get_value_string()}; add hparams_search=tpe, random or cmaes, or list values."
                )
        dimensions = {item.key: item for item in self.dimensions()}
        combinations: dict[tuple[str, ...], None] = {}
        for full in BasicSweeper.split_arguments(self.overrides, max_batch_size=None)[0]:
            params = dict(item.split("=", 1) for item in full)
            applied = (key not in dimensions or dimensions[key].applies(params) for key in params)
            combinations[tuple(item for item, applies in zip(full, applied, strict=True) if applies)] = None
        return [list(combination) for combination in combinations]

    def compose(self, overrides: Sequence[str], *, checked: bool = True) -> dict[str, Any]:
        """Return a job's configuration as plain values.

        Raises:
            ConfigError: If it is invalid and ``checked`` is set.
        """
        composed = self._context.config_loader.load_sweep_config(self._config, list(overrides))
        with open_dict(composed):
            del composed["hydra"], composed["sweep"]
        if checked:
            if "plugins" in composed:
                with suppress(ConfigError):  # the job fails with the reason
                    import_plugins(plugin_names(composed))
            self._check(parse(composed, SCHEMAS[self.command]), overrides)
        return cast("dict[str, Any]", OmegaConf.to_container(composed, resolve=True))

    def subfolder(self, overrides: Sequence[str], number: int) -> str | None:
        """Return ``hydra.sweep.subdir`` of a job, or ``None`` if it is not set."""
        if not is_chosen(self._config.hydra, SWEEP_SUBDIR):
            return None
        composed = self._context.config_loader.load_sweep_config(self._config, list(overrides))
        return job_subfolder(composed.hydra, number)

    def _check(self, config: Any, overrides: Sequence[str]) -> None:
        """Refuse missing files, and settings of a single run that a job of this sweep does not support."""
        if isinstance(config, TrainConfig | EvaluateConfig | AuditConfig):
            preflight_data(config.data)
        if isinstance(config, PredictConfig | EvaluateConfig):
            require_checkpoint(config.checkpoint)
        if isinstance(config, TrainConfig):
            config.require_read(overrides)
            require_weights(config.model.weights)
        if self.sweep.pruner != "none" and config.recipe.name == "probe":
            raise ConfigError(
                f"sweep.pruner: {self.sweep.pruner} needs metrics of each epoch, and recipe=probe has none; "
                "use sweep.pruner=none, or another recipe."
            )
        if getattr(config, "resume", None):
            raise ConfigError(
                f"resume: one run at a time goes on, got '{config.resume}' in a sweep; leave out -m, or "
                "give a sweep's folder as sweep.resume."
            )


def check_unchanged(what: str, planned: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Refuse to resume a sweep whose settings have changed.

    Args:
        what: Owner of the settings, such as ``job 3``.
        planned: The settings in the journal.
        current: The settings that the command line composes.

    Raises:
        ConfigError: With the settings that differ.
    """
    changes = [
        f"{key} was {before!r} and is {after!r}"
        for key, before, after in differences(planned, current)
        if key not in MAY_CHANGE
    ]
    if changes:
        more = f"; and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
        raise ConfigError(
            f"sweep.resume: a resumed sweep keeps its settings, and of {what} {'; '.join(changes[:_SHOWN])}"
            f"{more}. Repeat the command that started it, or start a new sweep."
        )


def differences(
    planned: Mapping[str, Any], current: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the full keys whose values differ, with both values; ``None`` where one lacks the key.

    >>> list(differences({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3, "d": 4}}))
    [('b.c', 2, 3), ('b.d', None, 4)]
    """
    for key in dict.fromkeys([*planned, *current]):
        old, new = planned.get(key), current.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from differences(old, new, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key}", old, new
