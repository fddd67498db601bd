"""Which images, classes, groups and splits."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from crack_lightning.config.class_names import read_class_names
from crack_lightning.config.error_messages import explain_error
from crack_lightning.config.literals import all_escaped
from crack_lightning.config.nodes.sources import MaskedConfig, PaintedConfig, SyntheticConfig
from crack_lightning.config.nodes.split import SplitConfig
from crack_lightning.config.validators import require_mapping
from crack_lightning.runtime.errors import ConfigError, DataError, nearest
from crack_lightning.runtime.settings import require_choice, require_range

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

SOURCES = ("synthetic", "metu", "sdnet2018", "image_folder", "masked_photos", "mixed", "painted")
_READ_BY = {
    "root": ("metu", "sdnet2018", "image_folder", "masked_photos"),
    "archive": ("metu", "sdnet2018"),
    "download": ("metu", "sdnet2018"),
    "class_names": ("image_folder",),
    "positive_class": ("image_folder",),
    "group_pattern": ("image_folder", "metu", "masked_photos"),
    "drawn": ("synthetic",),
    "masked": ("masked_photos",),
    "mm_per_px": ("synthetic", "masked_photos"),
    "sources": ("mixed",),
    "mix": ("mixed",),
    "train_sources": ("mixed",),
    "test_sources": ("mixed",),
    "seed": ("synthetic", "painted"),
    "base": ("painted",),
    "painted": ("painted",),
}
_BASES = tuple(source for source in SOURCES if source not in ("mixed", "painted"))
_OF_A_PART = (
    "source",
    *(key for key, readers in _READ_BY.items() if readers != ("mixed",) and key != "mm_per_px"),
)
_KEY_OF_A_PART = re.compile(rf"\bdata\.(?=({'|'.join(_OF_A_PART)})\b)")


@dataclass
class DataConfig:
    """A source of labelled tiles and how a run reads them.

    Attributes:
        source: One of ``SOURCES``.
        seed: Which photos are drawn, or what is painted.
        base: What ``data=painted`` paints on: a source, whose keys are then read too; in ``data=mixed`` the
            name of another of ``sources``.
        root: Folder of the images.
        archive: The published archive, to be unpacked into the cache.
        download: Fetch the published archive.
        class_names: Class by folder name, where the folders do not say it themselves.
        positive_class: The class that means "crack".
        group_pattern: Regular expression on the relative path; its first group names the photo.
        batch_size: Tiles a step, of all devices together.
        num_workers: Processes that read ahead, for each device; ``None`` suits them to the machine, and with
            0 none draw either.
        timeout_s: Seconds to wait for a worker before the run ends.
        on_unreadable: ``error`` ends the run at files that cannot be decoded, ``skip`` leaves them out.
        mm_per_px: How many millimetres a pixel of the original pictures shows, where crack widths are known.
        exclude: A CSV file whose column ``path`` names tiles to leave out.
        sampler: ``shuffled``, or ``balanced`` for as many draws from every class.
        sources: What ``data=mixed`` joins: by name, what ``data`` would have for each (``source``, ``root``,
            …).
        mix: ``natural`` trains on every tile once an epoch, ``equal`` on as many draws from every source.
        train_sources: Names of the sources that train and validate; empty for all.
        test_sources: Names of the sources that test; empty for all. One that only tests gives all its tiles.
    """

    source: str = "synthetic"
    seed: int = 0
    base: str | None = None
    root: str | None = None
    archive: str | None = None
    download: bool = False
    class_names: Any = None  # dict[str, str], or its text, as read_class_names says
    positive_class: str = "crack"
    group_pattern: str | None = None
    batch_size: int = 32
    num_workers: int | None = None
    timeout_s: int = 120
    on_unreadable: str = "error"
    mm_per_px: float | None = None
    exclude: str | None = None
    sampler: str = "shuffled"
    sources: Any = None  # dict[str, dict], as require_mapping says
    mix: str = "natural"
    train_sources: list[str] = field(default_factory=list)
    test_sources: list[str] = field(default_factory=list)
    split: SplitConfig = field(default_factory=SplitConfig)
    drawn: SyntheticConfig = field(default_factory=SyntheticConfig)
    masked: MaskedConfig = field(default_factory=MaskedConfig)
    painted: PaintedConfig = field(default_factory=PaintedConfig)

    def drawing_processes(self, threads: int) -> int:
        """Return how many processes draw tiles: one a compute thread, none where ``num_workers`` is 0."""
        return 0 if self.num_workers == 0 else threads

    def __post_init__(self) -> None:
        require_choice("data.source", self.source, SOURCES)
        require_range("data.seed", self.seed, low=0, high=2**32 - 1)
        require_range("data.batch_size", self.batch_size, low=1)
        require_range("data.num_workers", self.num_workers or 0, low=0)
        require_range("data.timeout_s", self.timeout_s, low=1)
        require_choice("data.on_unreadable", self.on_unreadable, ("error", "skip"))
        require_choice("data.sampler", self.sampler, ("shuffled", "balanced"))
        require_choice("data.mix", self.mix, ("natural", "equal"))
        if self.mm_per_px is not None:
            require_range("data.mm_per_px", self.mm_per_px, low=1e-4, high=1000)
        if self.group_pattern is not None:
            _check_pattern(self.group_pattern)
        self.class_names = read_class_names(self.class_names)
        require_mapping("data.sources", self.sources, of=dict, wanted="{name: {source: …}, …}")
        self.sources = self.sources and {str(name): node for name, node in self.sources.items()}

    @property
    def kind(self) -> str:
        """The source that reads files or draws: of painted tiles the one below."""
        return self.base or "" if self.source == "painted" else self.source

    def problems(self, *, siblings: Collection[str] = ()) -> list[str]:
        """List the keys that are set and that the chosen source does not read.

        Args:
            siblings: The other sources that can be painted on, in ``data=mixed``.
        """
        found = []
        kinds = {self.source} if siblings else {self.source, self.kind}
        for key, default in _defaults().items():
            if not kinds & set(_READ_BY[key]) and getattr(self, key) != default:
                readers = " or ".join(f"data={source}" for source in _READ_BY[key])
                found.append(
                    f"data.{key}: data={self.source} does not read it; use {readers}, or leave it out."
                )
        if self.mm_per_px and self.source == "masked_photos" and self.masked.mask_width == "line":
            found.append(
                "data.mm_per_px: no width is known where masks are lines; set data.masked.mask_width=true "
                "if they are as wide as the cracks, or leave it out."
            )
        if self.source == "painted" and self.base not in (bases := siblings or _BASES):
            found.append(f"data.base: expected one of {', '.join(bases)} to paint on, got {self.base!r}.")
        return [*found, *self._mixed_problems(), *self.split.problems()]

    def parts(self) -> dict[str, DataConfig]:
        """Return the settings of each source that ``data=mixed`` joins, by name.

        Raises:
            ConfigError: If one has a key that a source has not, or a wrong value.
        """
        return {name: _part(name, node) for name, node in (self.sources or {}).items()}

    def _mixed_problems(self) -> list[str]:
        if self.source != "mixed":
            return []
        if not self.sources:
            return [
                "data.sources: data=mixed needs some; set 'data.sources={a: {source: metu, root: tiles}, …}'."
            ]
        parts = self.parts()
        real = [name for name, part in parts.items() if part.source != "painted"]
        if not real:
            return ["data.sources: painted tiles need another source that they are painted on; add it."]
        found = [
            _of_part(name, problem)
            for name, part in parts.items()
            for problem in part.problems(siblings=real if part.source == "painted" else ())
        ]
        found += [
            f"data.{key}: expected some of {', '.join(self.sources)}, got '{name}'."
            for key in ("train_sources", "test_sources")
            for name in getattr(self, key)
            if name not in self.sources
        ]
        if self.train_sources or self.test_sources:
            for key in ("folds", "file"):
                if getattr(self.split, key) is not None:
                    found.append(
                        f"data.split.{key}: train_sources and test_sources decide who tests; leave it out."
                    )
        return found


@contextmanager
def prefix_source_keys(name: str) -> Iterator[None]:
    """Let the block's errors about a source tell of its keys below ``data.sources``."""
    try:
        yield
    except (ConfigError, DataError) as error:
        raise type(error)(_of_part(name, str(error))) from error


def _of_part(name: str, sentence: str) -> str:
    return _KEY_OF_A_PART.sub(f"data.sources.{name}.", sentence)


def _part(name: str, node: Any) -> DataConfig:
    key = f"data.sources.{name}"
    if not isinstance(node, dict) or "source" not in node:
        raise ConfigError(
            f"{key}: expected source and its keys, as in {{source: metu, root: tiles}}, got {node!r}."
        )
    for unknown in sorted(node.keys() - set(_OF_A_PART)):
        match = nearest(unknown, _OF_A_PART)
        hint = f"did you mean {match}?" if match else f"expected some of {', '.join(_OF_A_PART)}."
        raise ConfigError(f"{key}.{unknown}: no such key; {hint}")
    for part in ("drawn", "masked", "painted"):
        if not isinstance(node.get(part, {}), dict):
            raise ConfigError(f"{key}.{part}: expected keys and their values, got {node[part]!r}.")
    try:
        with prefix_source_keys(name):
            merged = OmegaConf.merge(OmegaConf.structured(DataConfig), all_escaped(node))
            return cast("DataConfig", OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise ConfigError(f"{key}.{explain_error(error, schema=DataConfig)}") from None


def _defaults() -> dict[str, Any]:
    plain = DataConfig()
    return {item.name: getattr(plain, item.name) for item in fields(plain) if item.name in _READ_BY}


def _check_pattern(pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ConfigError(
            f"data.group_pattern: '{pattern}' is not a regular expression ({error}); mend it."
        ) from None
    if groups < 1:
        raise ConfigError(
            f"data.group_pattern: '{pattern}' has no group; "
            "put the photo's name in parentheses, as in (\\d+)-."
        )
