"""What the rows of honest data measure: twins found again, photos recovered, what leaks are worth."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from scipy import stats

from crack_lightning.data.io.decoding import decode_image
from crack_lightning.data.scan.prepare import prepare_tiles
from crack_lightning.data.scan.scan import survey
from crack_lightning.data.sources import image_folder
from crack_lightning.data.splits.assign import split_table
from crack_lightning.data.synthesis.scene import cut_tiles, draw_photo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable

TILE_PX, PHOTO_PX = 227, (3024, 4032)
GAP_PX = 120
NUM_ALTERED = 500
NUM_SEEDS = 20
TRAINING_TILES = (200, 800, None)


def twin_recall(metu: Path, folder: Path) -> dict[str, float]:
    """Alter 500 METU tiles in each of five ways, put them beside the others, and count those found again."""
    rng = np.random.default_rng(0)
    originals = sorted(metu.glob("*/*.jpg"))
    chosen = rng.choice(len(originals), NUM_ALTERED, replace=False)
    ways: dict[str, dict[str, Any]] = {
        "saved again": {"quality": 60},
        "brightness": {"gain": 0.08},
        "moved": {"shift": 2},
        "scaled": {"scale": 0.03},
        "all of it": {"quality": 60, "gain": 0.08, "shift": 2, "scale": 0.03},
    }
    found = {}
    for way, change in ways.items():
        altered = folder / way.replace(" ", "_")
        altered.mkdir(parents=True)
        paths = []
        for number in chosen.tolist():
            paths.append(altered / f"{number}.jpg")
            _save(
                _altered(decode_image(originals[number]), rng, **change),
                paths[-1],
                quality=change.get("quality", 92),
            )
        seen = survey(
            [*originals, *paths], twins=True, num_workers=2, show_progress=False, cache=folder / "cache"
        )
        assert seen.twins is not None, "asked for"
        pairs = {tuple(pair) for pair in seen.twins.tolist()}
        found[way] = float(
            np.mean(
                [(number, len(originals) + place) in pairs for place, number in enumerate(chosen.tolist())]
            )
        )
    return found


def _altered(
    image: NDArray[np.uint8],
    rng: np.random.Generator,
    *,
    gain: float = 0,
    shift: int = 0,
    scale: float = 0,
    quality: int = 92,  # noqa: ARG001 - the file's
) -> NDArray[np.uint8]:
    middle = (image.shape[0] - 1) / 2
    zoom = 1 + scale * rng.choice([-1, 1])
    moved = middle * (1 - zoom) + shift * rng.choice([-1, 1], 2)
    matrix = np.array([[zoom, 0, moved[0]], [0, zoom, moved[1]]])
    warped = cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
    return np.asarray(np.clip(warped * (1 + gain * rng.choice([-1, 1])), 0, 255), np.uint8)


def _save(image: NDArray[np.uint8], path: Path, *, quality: int) -> None:
    cv2.imwrite(str(path), np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])


def twins_of_plain_walls() -> tuple[int, int]:
    """Return how many pairs are reported among 500 plain intact tiles of as many drawn photos."""
    from crack_lightning.data.grouping.near_duplicates import near_duplicate_pairs, preview

    previews = []
    for photo in range(10**6):
        drawn = draw_photo(np.random.default_rng([77, photo]), TILE_PX, TILE_PX)
        for tile in cut_tiles(drawn, tile_px=TILE_PX):
            if not tile.cracked:
                previews.append(preview(drawn.image))  # noqa: PERF401 - stops at 500
        if len(previews) == NUM_ALTERED:
            break
    return len(previews), len(near_duplicate_pairs(np.stack(previews)))


def scaling(metu: Path, folder: Path, environment: Mapping[str, str]) -> dict[int, tuple[float, float]]:
    """Return seconds and MiB of audits of 10,000, 20,000 and 40,000 tiles: quarters of METU's."""
    quarters = folder / "quarters"
    half = TILE_PX // 2
    sizes = (10_000, 20_000, 40_000)
    paths = sorted(metu.glob("*/*.jpg"))
    for number in range(sizes[-1]):
        source = paths[number // 4]
        y, x = divmod(number % 4, 2)
        target = quarters / str(sizes[-1]) / source.parent.name / f"{source.stem}_{y}{x}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        _save(decode_image(source)[y * half : (y + 1) * half, x * half : (x + 1) * half], target, quality=90)
    everything = sorted((quarters / str(sizes[-1])).glob("*/*.jpg"))
    for size in sizes[:-1]:
        for path in everything[:: sizes[-1] // size]:
            link = quarters / str(size) / path.parent.name / path.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    return {size: timed_audit(quarters / str(size), folder, environment) for size in sizes}


def timed_audit(root: Path, folder: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """Audit tiles with an empty cache; return seconds and MiB at the peak."""
    cache = {"CRACK_LIGHTNING_CACHE": str(folder / f"cache of {root.name}")}
    line = [sys.executable, "-m", "crack_lightning.audit", "data=metu", f"data.root={root}"]
    measure = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", measure, *line, f"outputs={folder / 'audits'}", "progress=false"],
        check=True,
        env={**environment, **cache},
        capture_output=True,
        text=True,
    )
    return time.perf_counter() - began, float(done.stdout.split()[-1])


def recovered_photos(folder: Path) -> dict[str, tuple[float, float, float]]:
    """Draw 12 walls, five photos of each, cut them into 227 px tiles and sort these by photo again.

    Returns:
        Pairwise precision, recall and F1 where names are in order (six walls) and where they are shuffled.
    """
    height, width = PHOTO_PX
    rng = np.random.default_rng(0)
    photo_of: dict[str, int] = {}
    for kind in ("ordered", "shuffled"):
        tiles = []
        for wall in range(6):
            drawn = draw_photo(
                np.random.default_rng([kind == "shuffled", wall]), 5 * (height + GAP_PX), width
            ).image
            for photo in range(5):
                taken = drawn[photo * (height + GAP_PX) :][:height]
                tiles += [
                    (5 * wall + photo, taken[y : y + TILE_PX, x : x + TILE_PX])
                    for y in range(0, height - TILE_PX + 1, TILE_PX)
                    for x in range(0, width - TILE_PX + 1, TILE_PX)
                ]
        order = np.arange(len(tiles)) if kind == "ordered" else rng.permutation(len(tiles))
        (folder / kind).mkdir(parents=True)
        for place, number in enumerate(order.tolist()):
            photo, image = tiles[number]
            _save(image, folder / kind / f"{place:05d}.jpg", quality=85)
            photo_of[f"{kind}/{place:05d}.jpg"] = photo
    names = {"ordered": "crack", "shuffled": "intact"}
    found = image_folder.load(folder, class_names=names, positive_class="crack", group_pattern=None)
    table, _ = prepare_tiles(
        found,
        on_unreadable="error",
        num_workers=2,
        show_progress=False,
        cache=folder.parent / "cache of walls",
        twins=True,
        recover_photos=True,
    )
    alone = np.where(table.group == "", table.path, table.group)
    of_kind = np.array([path.split("/")[0] for path in table.path.tolist()])
    truth = np.array([photo_of[path] for path in table.path.tolist()])
    return {kind: pairwise(truth[of_kind == kind], alone[of_kind == kind]) for kind in names}


def pairwise(truth: NDArray[Any], found: NDArray[Any]) -> tuple[float, float, float]:
    """Return precision, recall and F1 over pairs of tiles: in one photo, and found to be in one."""
    both = np.unique(np.stack([truth.astype(np.str_), found]), axis=1, return_counts=True)[1]
    together, said, real = (
        _pairs(counts)
        for counts in (both, *(np.unique(names, return_counts=True)[1] for names in (found, truth)))
    )
    return together / max(said, 1), together / real, 2 * together / (said + real)


def _pairs(counts: NDArray[np.int64]) -> float:
    return float((counts * (counts - 1) // 2).sum())


def learning_curve(metu: Path, cache: Path) -> list[dict[str, Any]]:
    """Compare random with grouped splits of METU: a head on frozen features, 20 split seeds, paired.

    Returns:
        For each number of training tiles the mean accuracies in per cent and the mean of their differences
        with its 95 % interval (Student's t over the seeds).
    """
    probe, table = probe_of(["data=metu", f"data.root={metu}"], cache)
    rows = []
    for number in TRAINING_TILES:
        scores = {
            strategy: np.array([_score(probe, table, strategy, seed, number) for seed in range(NUM_SEEDS)])
            for strategy in ("random", "grouped")
        }
        gap = scores["random"] - scores["grouped"]
        half = float(stats.t.ppf(0.975, NUM_SEEDS - 1) * gap.std(ddof=1) / np.sqrt(NUM_SEEDS))
        rows.append(
            {
                "tiles": number or "all",
                "random": float(scores["random"].mean()),
                "grouped": float(scores["grouped"].mean()),
                "difference": float(gap.mean()),
                "interval": (float(gap.mean() - half), float(gap.mean() + half)),
            }
        )
    return rows


def probe_of(asked: Sequence[str], cache: Path) -> tuple[Any, TileTable]:
    """Return a probe of EfficientNet-Lite0 with the features of all tiles, and their table without splits."""
    import os

    from hydra import compose, initialize_config_dir

    from crack_lightning.config import TrainConfig, conf_dir, parse, register_schemas
    from crack_lightning.experiment import factory, load_data

    os.environ["CRACK_LIGHTNING_CACHE"] = str(cache)
    probe = ["model=efficientnet_lite0", "model.weights=imagenet", "recipe=probe", "progress=false"]
    register_schemas()
    with initialize_config_dir(str(conf_dir()), version_base=None):
        composed = compose("train", [*probe, *asked, "data.batch_size=40"])
    config = parse(composed, TrainConfig)
    plan = factory.hardware_plan(config.trainer, num_workers=0)
    table, _ = load_data.read_tiles(config.data, threads=plan.threads, progress=False, twins=True)
    split = split_table(table, seed=0)
    config.trainer.max_epochs = config.epochs_for(len(split.rows("train")))
    classifier = factory.build_classifier(config, split)
    datamodule = factory.build_datamodule(config, split, plan=plan)
    return factory.build_probe(config, classifier, datamodule, plan=plan), table


def _score(probe: Any, table: TileTable, strategy: str, seed: int, number: int | None) -> float:
    probe.datamodule.table = split_table(table, seed=seed, strategy=strategy)
    probe.datamodule.seed = seed
    probe.datamodule.max_train_batches = None if number is None else number // 40
    probe.fit(l2=None, class_weights=None, max_iterations=200)
    said = probe.predictions("test")
    return 100 * float((said.probability.argmax(axis=1) == said.label).mean())
