"""Time and memory of the map of a large photo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from crack_lightning.data.io.decoding import decode_image

if TYPE_CHECKING:
    from commands import Commands


def measure(commands: Commands, *, turns: int) -> str:  # noqa: ARG001  # as the other parts
    """Map a mosaic of 48 photos of uav75 with the built-in model, once."""
    rows = {"a photo of 4032 x 3024 mapped, scale=1": mapped_photo(commands)}
    lines = [f"| {what} | {figure} |" for what, figure in rows.items()]
    return "\n".join(["| what | time and memory |", "|---|---|", *lines])


def mapped_photo(commands: Commands) -> str:
    """Map a mosaic of 48 photos of uav75 with the built-in model."""
    paths = sorted((commands.uav75 / "images").glob("*.jpg"))[:48]
    pieces = [decode_image(path)[:504, :504] for path in paths]
    mosaic = np.vstack([np.hstack(pieces[start : start + 8]) for start in range(0, 48, 8)])
    photo = commands.scratch / "photo.jpg"
    cv2.imwrite(str(photo), mosaic[..., ::-1])
    done = commands.run("predict", "checkpoint=builtin", f"source={photo}", "scale=1")
    return f"{done.seconds:.1f} s, {done.mib:,.0f} MiB, imports included"
