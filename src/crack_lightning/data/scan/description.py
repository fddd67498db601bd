"""Description of a file by its bytes: digest, header, decoding error, image statistics, descriptors."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import PIL
import simplejpeg

from crack_lightning.data.grouping.edge_matching import EDGE_SAMPLES, edges
from crack_lightning.data.grouping.near_duplicates import PREVIEW_PX, preview
from crack_lightning.data.io.decoding import (
    DECODING_VERSION,
    FailedAccessError,
    UnreadableContentError,
    access_failure,
    content_header,
    decode_content,
    read_file,
)
from crack_lightning.data.io.formats import suffix_problem
from crack_lightning.data.scan.image_stats import STATISTICS_VERSION, appearance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DESCRIPTORS_VERSION = 1
"""Raise it whenever ``preview`` or ``edges`` gives other values; it invalidates what is remembered."""

DESCRIPTION_VERSION = " ".join(
    map(
        str,
        (
            *(DECODING_VERSION, STATISTICS_VERSION, DESCRIPTORS_VERSION, PREVIEW_PX, EDGE_SAMPLES),
            *(PIL.__version__, simplejpeg.__version__, cv2.__version__),
        ),
    )
)
"""Version of all that a :class:`Content` holds."""

DIGEST_BYTES, PREVIEW_BYTES = 32, PREVIEW_PX * PREVIEW_PX


class Content(NamedTuple):
    """Description of a file's bytes, whatever its name.

    Attributes:
        digest: SHA-256, 32 bytes.
        width: Pixels as stored; 0 if the bytes do not decode.
        height: Likewise.
        mode: Pillow's name of the pixel format; empty if the bytes do not decode.
        reason: The decoding error; empty without error.
        statistics: Image statistics (:mod:`crack_lightning.data.scan.image_stats`), float32, little-endian.
        descriptors: Preview, then edges, uint8; see :mod:`crack_lightning.data.grouping`.
    """

    digest: bytes
    width: int = 0
    height: int = 0
    mode: str = ""
    reason: str = ""
    statistics: bytes = b""
    descriptors: bytes = b""


class Description(NamedTuple):
    """Description of a file.

    Attributes:
        digest: SHA-256, 32 bytes; empty if the file cannot be read.
        content: The description of its bytes; ``None`` if they are known, not read, or not decoded this time.
        reason: Why the file is not read at all, or not decoded this time; such a verdict is not remembered.
    """

    digest: bytes = b""
    content: Content | None = None
    reason: str = ""


def describe_file(path: Path, *, is_known: Callable[[bytes], bool]) -> Description:
    """Read a file once, and decode it unless its bytes are known or its suffix is not read.

    Args:
        path: The file.
        is_known: Whether the bytes of a digest are described already.
    """
    digest = b""
    try:
        data = read_file(path)
        digest = hashlib.sha256(data).digest()
        if suffix_problem(path) is not None or is_known(digest):
            return Description(digest)
        return Description(digest, _describe(digest, data))
    except UnreadableContentError as error:
        return Description(digest, reason=str(error))
    except MemoryError as error:
        return Description(digest, reason=access_failure(error))


def _describe(digest: bytes, data: bytes) -> Content:
    try:
        image = decode_content(data)
        width, height, mode = content_header(data)
    except FailedAccessError:
        raise
    except UnreadableContentError as error:
        return Content(digest, reason=str(error))
    small = preview(image)
    return Content(
        digest,
        width,
        height,
        mode,
        statistics=appearance(image, small).astype("<f4").tobytes(),
        descriptors=small.tobytes() + np.ascontiguousarray(edges(image)).tobytes(),
    )
