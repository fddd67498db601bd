"""The node ``data``: images, classes, groups and splits.

:class:`DataConfig` has the keys of every source. A source's own keys are defined in ``data/sources``, and
:func:`data_node` returns a class with both.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields, is_dataclass, make_dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from crack_lightning.config.error_messages import explain_error
from crack_lightning.config.literals import all_escaped
from crack_lightning.config.nodes.split import SplitConfig
from crack_lightning.config.renamed_keys import renamed_problem
from crack_lightning.config.validators import require_mapping
from crack_lightning.data.sources import SOURCES, SourceSettings, find_source
from crack_lightning.data.sources.mixed import MixedSettings, prefix_source_keys
from crack_lightning.runtime.errors import ConfigError, nearest
from crack_lightning.runtime.settings import node, require_choice, setting, settings_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class DataConfig(SourceSettings):
    """Source of labelled tiles, loading and splits.

    The keys are those that every source reads.
    """

    batch_size: int = setting(32, "Tiles per step, of all devices together.", low=1)
    num_workers: int | None = setting(
        None,
        "Worker processes that load batches, per device; `null` for none on a CPU and up to 12 per GPU. "
        "With 0 tiles are also rendered in the main process.",
        low=0,
    )
    timeout_s: int = setting(120, "Seconds to wait for a worker before the run ends.", low=1)
    on_unreadable: str = setting(
        "error",
        "`error` ends the run at files that cannot be decoded, `skip` leaves them out.",
        choices=("error", "skip"),
    )
    rescan: bool = setting(
        False, "Read and decode every file again, not only those that are new or changed since earlier runs."
    )
    mm_per_px: float | None = setting(
        None,
        "Millimetres per pixel of the original photos, for crack widths in millimetres.",
        low=1e-4,
        high=1000,
    )
    exclude: str | None = setting(
        None, "A CSV file whose column `path` names tiles to leave out.", text="path"
    )
    sampler: str = setting(
        "shuffled",
        "`shuffled`, or `balanced` for equally many draws from every class.",
        choices=("shuffled", "balanced"),
    )
    split: SplitConfig = node(SplitConfig)

    def drawing_processes(self, threads: int) -> int:
        """Return the number of processes that render tiles: ``threads``, or 0 if ``num_workers`` is 0."""
        return 0 if self.num_workers == 0 else threads

    def problems(self) -> list[str]:
        """List every contradiction between the keys."""
        problems = super().problems()
        if self.mm_per_px:
            problems += self._width_problems()
        if any(self.split_sources().values()):
            problems += [
                f"data.split.{key}: train_sources and test_sources define the splits; leave it out."
                for key in ("folds", "file")
                if getattr(self.split, key) is not None
            ]
        return [*problems, *self.split.problems()]

    def _width_problems(self) -> list[str]:
        readers = [name for name, one in SOURCES.items() if "widths" in one.provides and not one.is_derived]
        if self.kind not in readers:
            return [_unread_problem("data.mm_per_px", self.source, readers)]
        problem = self.width_problem() if self.source == self.kind else None
        return [problem] if problem else []


class _MixedData(MixedSettings):
    """The keys of ``data=mixed``, with parsing of its sources."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_mapping("data.sources", self.sources, of=dict, wanted="{name: {source: …}, …}")
        self.sources = self.sources and {str(name): node for name, node in self.sources.items()}

    def parts(self) -> Mapping[str, SourceSettings]:
        """Return the settings of each source by its name."""
        return {name: _part(name, node)[0] for name, node in (self.sources or {}).items()}

    def problems(self) -> list[str]:
        """List what is wrong with the sources, and keys that none of them reads."""
        unread = (_part(name, node)[1] for name, node in (self.sources or {}).items())
        return [*chain.from_iterable(unread), *super().problems()]


def _nodes() -> dict[tuple[str, str | None], type[DataConfig]]:
    """Build the class of every source, and of ``painted`` on each possible base."""
    nodes = {}
    meaning = settings_of(SourceSettings)["source"].meaning
    for name, source in SOURCES.items():
        bases = [None, *(base for base, other in SOURCES.items() if not other.is_derived)]
        for base in bases if name == "painted" else [None]:
            below = (SOURCES[base].settings,) if base else ()
            own = _MixedData if source.settings is MixedSettings else source.settings
            nodes[name, base] = make_dataclass(
                "DataOf" + "On".join(part.title().replace("_", "") for part in (name, base) if part),
                [("source", str, setting(name, meaning, values=", ".join(SOURCES)))],
                bases=(DataConfig, own, *below),
                namespace={"__module__": __name__},
            )
    return nodes


_NODES = _nodes()
for _node in _NODES.values():
    setattr(sys.modules[__name__], _node.__name__, _node)  # for pickle


def data_node(source: str, base: Any = None) -> type[DataConfig]:
    """Return the class of a source's node.

    Args:
        source: A key of ``SOURCES``.
        base: What ``data=painted`` paints on.

    Raises:
        ConfigError: If there is no such source.
    """
    find_source(source)
    return _NODES.get((source, base if isinstance(base, str) else None), _NODES[source, None])


def source_names() -> list[str]:
    """Return the names of all sources."""
    return list(SOURCES)


def data_config(source: str = "synthetic", **settings: Any) -> Any:
    """Return the node of a source with some of its keys set."""
    return data_node(source, settings.get("base"))(source=source, **settings)


def split_unread(
    settings: Mapping[str, Any], node: type[SourceSettings], prefix: str = "data"
) -> tuple[dict[str, Any], list[str]]:
    """Remove from ``settings`` the keys that only other sources read.

    Args:
        settings: Plain values by key.
        node: The class of the source's node.
        prefix: Its key.

    Returns:
        The settings without them, and a problem for each that is not at its default.

    Raises:
        ConfigError: If a key has another name now.
    """
    own = {item.name for item in fields(node)}
    read, problems = {}, []
    for key, value in settings.items():
        if problem := renamed_problem(f"{prefix}.{key}"):
            raise ConfigError(problem)
        readers = [name for name, source in SOURCES.items() if key in source.keys]
        if key in own or not readers:
            read[key] = value
        elif not _is_default(value, getattr(SOURCES[readers[0]].settings(), key)):
            source = settings.get("source") or node.source
            problems.append(_unread_problem(f"{prefix}.{key}", source, readers))
    return read, problems


def _unread_problem(key: str, source: str, readers: list[str]) -> str:
    use = " or ".join(f"data={reader}" for reader in readers)
    return f"{key}: data={source} does not read it; use {use}, or leave it out."


def _is_default(value: Any, default: Any) -> bool:
    if is_dataclass(default) and isinstance(value, dict):
        return all(
            hasattr(default, str(key)) and _is_default(item, getattr(default, str(key)))
            for key, item in value.items()
        )
    return bool(value == default)


def _part(name: str, settings: Any) -> tuple[SourceSettings, list[str]]:
    """Return the settings of one of the sources of ``data=mixed``, and problems with unread keys.

    Raises:
        ConfigError: If it has a key that no source has, or a wrong value.
    """
    key = f"data.sources.{name}"
    if not isinstance(settings, dict) or "source" not in settings:
        raise ConfigError(
            f"{key}: expected source and its keys, as in {{source: metu, root: tiles}}, got {settings!r}."
        )
    require_choice(f"{key}.source", settings["source"], [one for one in SOURCES if one != "mixed"])
    node = SOURCES[settings["source"]].settings
    read, unread = split_unread(settings, node, key)
    own = [item.name for item in fields(node)]
    for unknown in sorted(read.keys() - set(own)):
        match = nearest(unknown, own)
        hint = f"did you mean {match}?" if match else f"expected some of {', '.join(own)}."
        raise ConfigError(f"{key}.{unknown}: no such key; {hint}")
    for item in fields(node):
        if isinstance(item.default_factory, type) and not isinstance(read.get(item.name, {}), dict):
            raise ConfigError(f"{key}.{item.name}: expected keys and their values, got {read[item.name]!r}.")
    try:
        with prefix_source_keys(name):
            merged = OmegaConf.merge(OmegaConf.structured(node), all_escaped(read))
            return cast("SourceSettings", OmegaConf.to_object(merged)), unread
    except OmegaConfBaseException as error:
        raise ConfigError(f"{key}.{explain_error(error, schema=node)}") from None
