"""Settings shared by several sources: folder or archive of the files, and photo of a tile."""

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
    """Setting of the photo that a tile is cut from."""

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
    """Settings of a source that reads a folder of images."""

    root: str | None = setting(None, "Folder of the images.", text="path")

    def folder(self, content: str) -> Path:
        """Return ``root`` as a path.

        Args:
            content: What the folder should hold, for the error.

        Raises:
            ConfigError: If ``root`` is not set.
            DataError: If it is not a folder.
        """
        if self.root is None:
            raise ConfigError(
                f"data.root: expected a folder with {content}, got none; set data.root=<folder>."
            )
        check_root(Path(self.root))
        return Path(self.root)


@dataclass
class PublishedSettings(SourceSettings):
    """Settings of a published data set: its folder, its archive or a download."""

    root: str | None = setting(None, "Folder of the images.", text="path")
    archive: str | None = setting(None, "The published archive, to be unpacked into the cache.", text="path")
    download: bool = setting(False, "Fetch the published archive.")

    def preflight(self, published: PublishedSet) -> None:
        """Check that the folder or archive exists, or may be downloaded; raises as ``check_dataset``."""
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
