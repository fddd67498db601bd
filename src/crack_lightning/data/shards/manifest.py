"""The list of shards, ``shards.json``: classes and shards; complete only when all are written."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.files.atomic_write import write_text
from crack_lightning.runtime.files.untrusted_files import COUNT, read_json, require_shape

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "shards.json"
VERSION = 1
_SHARD = re.compile(r"(train|val|test|unsplit)/\d{5,9}\.tar")
_SHAPE = {
    "schema_version": COUNT,
    "complete": bool,
    "class_names": [str],
    "positive_class": (str, None),
    "num_tiles": COUNT,
    "shards": [str],
}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What ``shards.json`` holds.

    Attributes:
        class_names: The K classes in order of their index.
        positive_class: The class that means "crack"; ``None`` where there is none.
        num_tiles: Tiles in all shards.
        shards: Paths of the tars relative to the folder.
        complete: Whether all of them are written.
    """

    class_names: tuple[str, ...]
    positive_class: str | None
    num_tiles: int
    shards: tuple[str, ...]
    complete: bool

    def write(self, folder: Path) -> None:
        """Write ``shards.json`` atomically."""
        text = json.dumps({"schema_version": VERSION} | asdict(self), indent=1, ensure_ascii=False)
        write_text(folder / MANIFEST, text + "\n")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read and validate the list of complete shards.

        Raises:
            DataError: If it is missing, damaged or of another version, names another place, or the shards
                are not complete.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise DataError(
                f"data.root: '{folder}' has no {MANIFEST}; expected a folder of crack-lightning shards. "
                "Set data.root=<such a folder>, or use data=image_folder."
            )
        try:
            manifest = cls._parse(read_json(path))
            manifest.check()
        except (OSError, ValueError) as error:
            raise DataError(
                f"data.root: cannot use '{path}' ({error}); copy it again, or write the shards again."
            ) from None
        if not manifest.complete:
            raise DataError(
                f"data.root: the shards in '{folder}' are not complete; finish them with "
                f"crack-lightning shards resume={folder}."
            )
        return manifest

    @classmethod
    def _parse(cls, contents: dict[str, Any]) -> Self:
        if contents.get("schema_version") != VERSION:
            raise ValueError(f"schema_version {contents.get('schema_version')!r}, expected {VERSION}")
        require_shape(contents, _SHAPE)
        return cls(
            class_names=tuple(contents["class_names"]),
            positive_class=contents["positive_class"],
            num_tiles=contents["num_tiles"],
            shards=tuple(contents["shards"]),
            complete=contents["complete"],
        )

    def check(self) -> None:
        """Refuse contradicting classes, and shards elsewhere.

        Raises:
            ValueError: With the reason.
        """
        names = self.class_names
        if not names or len(set(names)) < len(names) or self.positive_class not in {None, *names}:
            raise ValueError(f"classes {list(names)} with the positive class {self.positive_class!r}")
        if wrong := [shard for shard in self.shards if not _SHARD.fullmatch(shard)]:
            raise ValueError(f"expected shards such as train/00000.tar, got {wrong[0]!r}")
        if not self.shards or len(set(self.shards)) < len(self.shards):
            raise ValueError("no shards, or one comes twice")
