"""Settings that several sources read alike: where files lie, and which photo a tile is from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.data.discovery.tile_listing import check_root, compile_group_pattern
from crack_lightning.data.sources.source import SourceSettings
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.settings import setting

if TYPE_CHECKING:
    from crack_lightning.data.downloads.published import PublishedSet
    from crack_lightning.data.sources.source import LoadContext


@dataclass
class GroupSettings(SourceSettings):
    """Which photo a tile is from."""

    group_pattern: str | None = setting(
        None,
        "Regular expression on the relative path; its first group names the photo.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.group_pattern is not None:
            compile_group_pattern(self.group_pattern)


@dataclass
class RootSettings(GroupSettings):
    """Where a folder of images lies."""

    root: str | None = setting(None, "Folder of the images.")

    def folder(self, content: str) -> Path:
        """Return the folder, which holds ``content``.

        Raises:
            ConfigError: If none is set.
            DataError: If it is none.
        """
        if self.root is None:
            raise ConfigError(
                f"data.root: expected a folder with {content}, got none; set data.root=<folder>."
            )
        check_root(Path(self.root))
        return Path(self.root)


@dataclass
class PublishedSettings(SourceSettings):
    """Where a published set lies, or how it is fetched."""

    root: str | None = setting(None, "Folder of the images.")
    archive: str | None = setting(None, "The published archive, to be unpacked into the cache.")
    download: bool = setting(False, "Fetch the published archive.")

    def preflight(self, published: PublishedSet) -> None:
        """Refuse settings that lead to nothing; raises as ``check_dataset`` does."""
        from crack_lightning.data.downloads.published import check_dataset

        check_dataset(published, root=_path(self.root), archive=_path(self.archive), download=self.download)

    def locate(self, published: PublishedSet, context: LoadContext) -> Path:
        """Return the folder of the set; see ``locate_dataset``."""
        from crack_lightning.data.downloads.published import locate_dataset

        return locate_dataset(
            published,
            root=_path(self.root),
            archive=_path(self.archive),
            download=self.download,
            cache=context.cache,
            show_progress=context.show_progress,
        )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
