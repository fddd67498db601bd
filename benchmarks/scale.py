"""Time and memory of large inputs: audits of up to 40,000 tiles, and a large photo."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import cv2
import numpy as np

from crack_lightning.data.io.decoding import decode_image

if TYPE_CHECKING:
    from pathlib import Path

    from commands import Commands

SIZES = (10_000, 20_000, 40_000)


def measure(commands: Commands, *, turns: int) -> str:  # noqa: ARG001  # as the other parts
    """Measure each input once, since an audit takes long."""
    rows = audits(commands) | {
        "a photo of 4032 x 3024 mapped, scale=1": mapped_photo(commands),
    }
    lines = [f"| {what} | {figure} |" for what, figure in rows.items()]
    return "\n".join(["| what | time and memory |", "|---|---|", *lines])


def audits(commands: Commands) -> dict[str, str]:
    """Audit quarters of METU's tiles with an empty cache."""
    quarters = sorted(quarter_tiles(commands.metu, commands.scratch / "quarters"))
    rows = {}
    for size in SIZES:
        root = commands.scratch / f"{size} tiles"
        for path in quarters[:: SIZES[-1] // size]:
            link = root / path.parent.name / path.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
        commands.cache = commands.scratch / f"cache of {size}"
        done = commands.run("audit", "data=metu", f"data.root={root}")
        rows[f"audit of {size:,} tiles"] = f"{done.seconds:.1f} s, {done.mib:,.0f} MiB"
    return rows


def quarter_tiles(metu: Path, folder: Path) -> list[Path]:
    """Write quarters of METU's tiles, as many as the largest audit reads."""
    written = []
    for source in sorted(metu.glob("*/*.jpg"))[: SIZES[-1] // 4]:
        image = decode_image(source)
        half = image.shape[0] // 2
        for y, x in itertools.product((0, 1), repeat=2):
            path = folder / source.parent.name / f"{source.stem}_{y}{x}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            part = image[y * half : (y + 1) * half, x * half : (x + 1) * half]
            cv2.imwrite(str(path), part[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
            written.append(path)
    return written


def mapped_photo(commands: Commands) -> str:
    """Map a mosaic of 48 photos of uav75 with the built-in model."""
    paths = sorted((commands.uav75 / "images").glob("*.jpg"))[:48]
    pieces = [decode_image(path)[:504, :504] for path in paths]
    mosaic = np.vstack([np.hstack(pieces[start : start + 8]) for start in range(0, 48, 8)])
    photo = commands.scratch / "photo.jpg"
    cv2.imwrite(str(photo), mosaic[..., ::-1])
    done = commands.run("predict", "checkpoint=builtin", f"source={photo}", "scale=1")
    return f"{done.seconds:.1f} s, {done.mib:,.0f} MiB, imports included"
