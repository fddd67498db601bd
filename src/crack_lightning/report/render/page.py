"""Rendering of self-contained HTML pages: embedded images, no network request, dark and print styles."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader

from crack_lightning.data.io.decoding import UnreadableImageError, decode_image
from crack_lightning.data.io.overlays import overlay
from crack_lightning.report.sections.metrics import cards
from crack_lightning.report.sections.sections import report_sections

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_THUMBNAIL_PX = 96
_TRANSPARENT_PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def render(template: str, /, **values: Any) -> str:
    """Render a template with escaped values."""
    environment = Environment(
        loader=PackageLoader("crack_lightning.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = "{:,}".format
    return environment.get_template(template).render(**values)


def report_page(
    contents: Mapping[str, Any],
    *,
    root: Path,
    pictures: Mapping[str, str],
    folder: Path,
    evidence: Mapping[str, NDArray[np.float32]],
) -> str:
    """Render a report as an HTML page.

    Args:
        contents: The contents of the report.
        root: The folder that the tiles' paths are relative to.
        pictures: Alternative text by file name of the figures.
        folder: Folder of the figures.
        evidence: Evidence maps by path of an explained tile, float32 ``(h, w)``.
    """
    return render(
        "report.html.j2",
        **contents,
        sections=report_sections(contents),
        cards=cards(contents),
        pictures=pictures,
        picture=lambda name: data_url((folder / name).read_bytes(), "image/png"),
        evidence=evidence,
        thumbnail=partial(thumbnail, root),
        kind_of=lambda block: type(block).__name__,
    )


def thumbnail(root: Path, path: str, evidence: NDArray[np.float32] | None = None) -> str:
    """Return a thumbnail as a data URL, with an overlaid evidence map if given.

    The thumbnail is a transparent pixel if the image can no longer be read.
    """
    try:
        pixels = decode_image(root / path)
    except UnreadableImageError:
        return _TRANSPARENT_PIXEL
    scale = _THUMBNAIL_PX / max(pixels.shape[:2])
    width, height = (max(1, round(scale * side)) for side in (pixels.shape[1], pixels.shape[0]))
    small = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    if evidence is not None:
        small = overlay(small, evidence)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
    return data_url(data.tobytes(), "image/jpeg")


def data_url(data: bytes, kind: str) -> str:
    """Return the bytes of a file as a data URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
