"""The commands of README, documentation and option files, and a folder in which they run at toy size."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from crack_lightning.cli.main import main
from crack_lightning.config import conf_dir
from crack_lightning.data.synthesis.scene import cut_tiles, draw_photo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CARD = ROOT / "src" / "crack_lightning" / "builtin" / "README.md"
COMMAND = re.compile(r"python -m crack_lightning\.(\w+)((?: [^#\n`]+)?)")
FENCED = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)

_DRAWN = ["data.synthetic.num_tiles=60", "data.synthetic.tile_px=64"]
_TRAIN = [
    "trainer.max_epochs=1",
    "trainer.max_train_batches=1",
    "trainer.max_val_batches=2",
    "trainer.threads=1",
    "data.batch_size=8",
    "data.num_workers=0",
    "data.split.tolerance=0.2",
    "progress=false",
]
_OTHERS = ["trainer.threads=1", "progress=false"]
_LOCAL = ["model=timm", "model.name=resnet10t", "model.head=local", "model.image_size=48"]


def documented() -> Iterator[tuple[str, str]]:
    """Yield every command, in the option files' heads too, that has no placeholder."""
    for path in (*PAGES, CARD, *sorted(conf_dir().rglob("*.yaml"))):
        yield from _commands(path.read_text(encoding="utf-8"))


def fenced(pages: Sequence[Path] = PAGES) -> list[tuple[str, str]]:
    """Return the commands in the code blocks of README and documentation, each once."""
    blocks = [block for path in pages for block in FENCED.findall(path.read_text(encoding="utf-8"))]
    return sorted({command for block in blocks for command in _commands(block)})


def _commands(text: str) -> Iterator[tuple[str, str]]:
    for name, arguments in COMMAND.findall(text):
        if "<" not in arguments:
            yield name, arguments.strip()


def first_choice(override: str) -> str:
    """One of the values that a sweep is given; a list is one value."""
    return override if "[" in override else override.partition(",")[0]


def toy(name: str, typed: str) -> list[str]:
    """Return the arguments of a command with toy sizes; settings of its own that are large give way."""
    arguments = shlex.split(typed)
    given = {argument.partition("=")[0]: argument.partition("=")[2] for argument in arguments}
    if name == "train" and "resume" not in given:
        small = list(_TRAIN) + ([] if "data" in given else _DRAWN)
        if "recipe.sizes" in given:
            small += ["trainer.max_epochs=2", "recipe.sizes=[32,48]", "model.image_size=48"]
        elif "," not in given.get("model.image_size", ""):
            small.append("model.image_size=48")
        if "{source: painted" in typed:
            small.append("+data.sources.painted.painted={num_tiles: 40}")
        if "trainer.devices" in given:
            small[small.index("trainer.threads=1")] = f"trainer.threads={given['trainer.devices']}"
        if "data.split.file" in given:
            small.remove("data.split.tolerance=0.2")
        if "-m" in arguments:
            arguments = _few(arguments)
            small += ["sweep.trials=2"] if {"hparams_search", "sweep.search"} & given.keys() else []
    elif name == "shards" and "resume" not in given:
        arguments = [item for item in arguments if not item.startswith("hydra.run.dir=")]
        small = ["data.split.tolerance=0.2", *_OTHERS]
    else:
        small = _OTHERS if name in ("evaluate", "audit", "predict") and "resume" not in given else []
    keys = {override.partition("=")[0] for override in small}
    return [item for item in arguments if item.partition("=")[0] not in keys] + list(dict.fromkeys(small))


def _few(arguments: list[str]) -> list[str]:
    """Keep two values of the first key that is varied, and one of the others."""
    lists = [item for item in arguments if "," in item and "[" not in item and "(" not in item]
    kept = {item: ",".join(item.split(",")[: 2 if item is lists[0] else 1]) for item in lists}
    return [kept.get(item, item) for item in arguments]


def write_workspace(folder: Path) -> None:
    """Write what the documented commands name: tiles, photos with masks, a model, finished runs."""
    _write_tiles(folder)
    _write_photos(folder)
    home = Path.cwd()
    os.chdir(folder)
    try:
        _write_runs(folder)
    finally:
        os.chdir(home)


def _write_tiles(folder: Path) -> None:
    for number in range(24):
        photo = draw_photo(np.random.default_rng([0, number]), 128, 128)
        for place, tile in enumerate(cut_tiles(photo, tile_px=64)):
            path = (
                folder / "tiles" / ("Positive" if tile.cracked else "Negative") / f"{number:03d}_{place}.jpg"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tile.jpeg)
    for name in ("Concrete Crack Images for Classification", "metu", "my tiles"):
        shutil.copytree(folder / "tiles", folder / name)
    for named, own in (("A", "Positive"), ("B", "Negative")):
        shutil.copytree(folder / "tiles" / own, folder / "ab" / named)
    with zipfile.ZipFile(folder / "SDNET2018.zip", "w") as archive:
        for path in sorted((folder / "tiles").rglob("*.jpg")):
            kind = "CD" if path.parent.name == "Positive" else "UD"
            archive.write(path, f"D/{kind}/{path.stem.replace('_', '-')}.jpg")


def _write_photos(folder: Path) -> None:
    sets = (
        ("uav75", ["images"], ["masks"]),
        ("DeepCrack", ["train_img", "test_img"], ["train_lab", "test_lab"]),
    )
    for name, images, masks in sets:
        for number in range(12):
            photo = draw_photo(np.random.default_rng([1, number]), 512, 256)
            values = photo.mask.astype(np.uint8) * 255
            values[400:410, ::2] = np.where(values[400:410, ::2], 255, 204) if name == "uav75" else 0
            stem = f"DSC{number:04d}"
            for kind, suffix, pixels in ((images, ".jpg", photo.image[..., ::-1]), (masks, ".png", values)):
                path = folder / name / kind[number % len(kind)] / f"{stem}{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), np.ascontiguousarray(pixels))
    (folder / "site (1)").mkdir()
    for path in (folder / "photo.jpg", folder / "site (1)" / "a.jpg"):
        shutil.copy(folder / "uav75" / "images" / "DSC0000.jpg", path)


def _write_runs(folder: Path) -> None:
    outputs = folder / "outputs"
    local = ["data=metu", "data.root=tiles", *_TRAIN, *_LOCAL, f"hydra.run.dir={outputs / 'made'}"]
    assert main(["train", *local]) == 0
    made = outputs / "made"
    shutil.copy(made / "checkpoints" / "best.ckpt", folder / "best.ckpt")
    shutil.copy(made / "splits.csv", folder / "splits.csv")
    tile = min((folder / "tiles" / "Positive").iterdir())
    (folder / "audit.csv").write_text(f"path\nPositive/{tile.name}\n", encoding="utf-8")
    shards = ["data=metu", "data.root=tiles", "data.split.tolerance=0.2", "hydra.run.dir=metu_shards"]
    assert main(["shards", *shards, *_OTHERS]) == 0
    day = outputs / "2026-11-21"
    sweep = outputs / "multirun" / "2026-11-21" / "10-20-30"
    copies = [day / f"{name}" for name in ("10-20-30_resnet18_metu", "11-00-00_mobilenetv2_metu")]
    for copy in (*copies, day / "10-20-30_mobilenetv2_synthetic", sweep / "0", sweep / "1"):
        shutil.copytree(made, copy)
    predicted = f"hydra.run.dir={day / '12-00-00_predict'}"
    assert main(["predict", "best.ckpt", "photo.jpg", predicted, *_OTHERS]) == 0
