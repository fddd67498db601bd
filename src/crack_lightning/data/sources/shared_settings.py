"""Settings shared by several sources: folder or archive of the files, and photo of a tile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from crack_lightning.data.discovery.tile_listing import check_root, compile_group_pattern
from crack_lightning.data.sources.source import SourceSettings
from crack_lightning.runtime.errors import ConfigError, DataError
from crack_lightning.runtime.settings import setting

if TYPE_CHECKING:
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
class RootSettings(SourceSettings):
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


@dataclass(frozen=True, kw_only=True)
class PublishedSet:
    """A published data set.

    Attributes:
        name: Short name, also of its entry in the cache.
        page: Its landing page.
        url: The URL of its archive.
        file_name: The published name of the archive.
        sha256: Hex digest of the archive; ``None`` where none is published.
        doi: Identifier to cite.
        licence: Terms of use.
    """

    name: str
    page: str
    url: str
    file_name: str
    sha256: str | None
    doi: str
    licence: str


@dataclass
class PublishedSettings(SourceSettings):
    """Settings of a published data set: its folder, its archive or a download."""

    published: ClassVar[PublishedSet]
    root: str | None = setting(None, "Folder of the images.", text="path")
    archive: str | None = setting(None, "The published archive, to be unpacked into the cache.", text="path")
    download: bool = setting(False, "Fetch the published archive.")

    def check_location(self) -> None:
        """Check that the folder or archive exists, or may be downloaded.

        Raises:
            ConfigError: If neither root, archive nor download is set.
            DataError: If the folder or the archive does not exist.
        """
        published, page = self.published, self.published.page
        if not (self.root or self.archive or self.download):
            raise ConfigError(
                f"data: '{published.name}' needs its images; set data.root=<folder that holds them>, "
                f"data.archive=<the file published at {page}>, or data.download=true."
            )
        if self.root:
            if not (root := Path(self.root)).is_dir():
                what = "is a file; set data.archive to it, or" if root.is_file() else "does not exist;"
                raise DataError(
                    f"data.root: '{root}' {what} set data.root=<folder that holds '{published.name}'>; "
                    f"its page is {page}."
                )
        elif self.archive and not (archive := Path(self.archive)).is_file():
            what = "is a folder; set data.root to it, or" if archive.is_dir() else "does not exist;"
            raise DataError(
                f"data.archive: '{archive}' {what} set data.archive=<the file published at {page}>."
            )

    def locate(self, context: LoadContext) -> Path:
        """Return the folder of the set: root, else the unpacked archive, else the unpacked download.

        Raises:
            ConfigError: If neither root, archive nor download is set.
            DataError: If the folder or the archive is missing, or cannot be fetched or unpacked.
        """
        self.check_location()
        if self.root:
            return Path(self.root)
        from crack_lightning.data.downloads.published import download_dataset, unpack_archive

        if self.archive:
            return unpack_archive(
                Path(self.archive), self.published, context.cache, show_progress=context.show_progress
            )
        return download_dataset(self.published, context.cache, show_progress=context.show_progress)
