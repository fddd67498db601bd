"""The rows of transfer: local heads and painted tiles on METU and uav75."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import localisation
import numpy as np
import realism
import removals
import resolution
from commands import Commands, Done, accuracy, metrics, read_rows, report

from crack_lightning.config.nodes.sources import MaskedConfig
from crack_lightning.data.io.decoding import decode_image
from crack_lightning.data.io.masks import MaskRules
from crack_lightning.data.sources import masked_photos

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable

    Picture = NDArray[np.uint8]

GRIDS = Path(__file__).parent / "results" / "painting"


class TransferRows(Commands):
    """The rows of transfer to walls that were never seen; c, d and g need a, c and d b too if it ran."""

    local = (
        *("model=efficientnet_lite0", "model.weights=imagenet", "model.head=local", "recipe=frozen"),
        *("data=mixed", "data.test_sources=[metu]"),
    )
    asked_larger = ("recipe.sizes=[224]", "model.image_size=320", "model.strongest_cells=0.015")
    ends_large = ("recipe.sizes=[224,448]", "model.image_size=448", "model.strongest_cells=0.00765")

    def local_run(
        self, row: str, *arguments: str, added: str = "", environment: dict[str, str] | None = None
    ) -> Done:
        """Train a local head on METU, on tiles painted on METU's intact ones, or on both."""
        metu = f"metu: {{source: metu, root: {self.metu}}}, painted: {{source: painted, base: metu}}"
        given = [*self.local, f"data.sources={{{metu}{added}}}", *arguments]
        return self.measured(row, "train", *given, environment=environment)

    def a(self) -> str:
        """A local head, METU's intact training tiles painted alone, METU's grouped test; empty cache."""
        alone = ("data.train_sources=[painted]", "trainer.max_epochs=1")
        done = self.local_run("a", *self.asked_larger, *alone)
        found = metrics(done.folder)
        return f"AUROC {found['auroc']:.4f}, balanced {found['balanced_accuracy']:.4f}, {done.seconds:.0f} s"

    def b(self) -> str:
        """A local head on METU and painted tiles, first small, then large."""
        steps = ("trainer.max_epochs=2", "trainer.max_train_batches=400")
        done = self.local_run("b", *self.ends_large, *steps)
        told = f"accuracy {accuracy(done.folder):.4f}, validation {validated(done.folder)}"
        return f"{told}, {done.seconds:.0f} s"

    def c(self) -> str:
        """The models of a and b on the half of uav75 to choose on; the better one on the other half."""
        found = {row: self.half(row, self.best[row], "chosen_on") for row in self.best}
        told = [f"{row}: {words}" for row, (_, words) in found.items()]
        better = max(found, key=lambda row: found[row][0])
        return "; ".join([*told, f"{better}: {self.half(better, self.best[better], 'reported')[1]}"])

    def d(self) -> str:
        """Where the models of a and b look on drawn tiles."""
        told = []
        for row, checkpoint in self.best.items():
            made, _ = self.run(f"{row}-drawn", "evaluate", f"checkpoint={checkpoint}", "data=synthetic")
            told.append(f"{row}: {localisation.told(report(made)['localisation'])}")
        return "; ".join(told)

    def e(self) -> str:
        """The head that comes with the package: a photo of 4032 x 3024 at its own pixels, of uav75's."""
        photo = self.scratch / "photo.jpg"
        cv2.imwrite(str(photo), mosaic(sorted((self.uav75 / "images").glob("*.jpg")))[..., ::-1])
        done = self.measured("e", "predict", "checkpoint=builtin", f"source={photo}", "scale=1")
        return f"{done.seconds:.1f} s in all, {done.mib:.0f} MiB"

    def shipped(self) -> str:
        """The head that comes with the package on the half of uav75 to choose on."""
        return self.half("shipped", "builtin", "chosen_on")[1]

    def resolution(self) -> str:
        """Input size, tile scale and pooling of the head that comes with the package."""
        cache = self.scratch / "cache"
        photos = photo_tiles(self.parted["chosen_on"], cache=cache)
        for line in resolution.tables("builtin", photos, cache=cache):
            print(line, flush=True)
        return "printed above"

    def removals(self) -> str:
        """One part of a local head or of its training removed or changed at a time."""
        for line in removals.table(self):
            print(line, flush=True)
        return "printed above"

    def untested(self, folder: str) -> list[Path]:
        """Return METU's tiles of a folder but for the test tiles of row a, on which nothing is chosen."""
        [splits] = (self.scratch / "a").glob("*/*/splits.csv")
        tested = {row["name"] for row in read_rows(splits) if row["split"] == "test"}
        paths = sorted((self.metu / folder).iterdir())
        return [path for path in paths if f"metu:{folder}/{path.name}" not in tested]

    @property
    def best(self) -> dict[str, str]:
        """The checkpoints of those of the rows a and b that ran."""
        made = {row: self.scratch / row for row in "ab" if (self.scratch / row).is_dir()}
        return {row: str(max(made[row].glob("*/*")) / "checkpoints" / "best.ckpt") for row in made}

    @cached_property
    def parted(self) -> dict[str, Path]:
        """The folders of uav75's halves."""
        return photo_halves(self.uav75, self.scratch / "halves", cache=self.scratch / "cache")

    def half(self, row: str, checkpoint: str, half: str) -> tuple[float, str]:
        """Evaluate a model on a half of uav75; return its AUROC, and words with where it looks."""
        photos = ["data=masked_photos", f"data.root={self.parted[half]}", 'data.group_pattern="(DSC[0-9]+)"']
        made, _ = self.run(f"{row}-{half}", "evaluate", f"checkpoint={checkpoint}", *photos)
        between = report(made)["uncertainty"]["intervals"]["auroc_crack"]
        auroc, looked = metrics(made)["auroc"], localisation.told(report(made)["localisation"])
        return auroc, f"{half} {auroc:.3f} ({between['low']:.3f} to {between['high']:.3f}), skill {looked}"

    def f(self) -> str:
        """``experiment=transfer``, each run 4,800 tiles: METU's grouped test and the halves of uav75."""
        photos = "source: masked_photos, group_pattern: '(DSC[0-9]+)'"
        added = [f"+data.sources.{half}={{{photos}, root: {folder}}}" for half, folder in self.parted.items()]
        tested = f"data.test_sources=[{','.join(['metu', *self.parted])}]"
        sources = [f"data.sources.metu.root={self.metu}", "~data.sources.uav75", *added, tested]
        limits = ["trainer.max_train_batches=150", "trainer.max_val_batches=40"]
        self.run("f", "train", "experiment=transfer", *sources, *limits)
        [table] = (self.scratch / "f").glob("multirun/*/*/comparison_by_source.csv")
        print(markdown(read_rows(table)))
        return f"{len(read_rows(table))} figures of six runs, printed above"

    def g(self) -> str:
        """Painting: tiles of 224 px in a second of a core; painted or real, told by frozen features."""
        intact, cracked = (self.untested(name) for name in ("Negative", "Positive"))
        speed = realism.painting_speed(intact)
        apart, bare = realism.painted_or_real(cracked, intact, GRIDS)
        told = f"AUROC of painted or real {apart:.4f}, of cracks alone {bare:.4f}"
        return f"{speed:.0f} tiles/s a core; {told}; grids in {GRIDS}"


def mosaic(paths: Sequence[Path]) -> Picture:
    """Put 48 pictures together to one of 4032 x 3024, uint8 ``(3024, 4032, 3)``."""
    pieces = [decode_image(path)[:504, :504] for path in paths[:48]]
    return np.vstack([np.hstack(pieces[start : start + 8]) for start in range(0, 48, 8)])


def photo_halves(uav75: Path, folder: Path, *, cache: Path) -> dict[str, Path]:
    """Link the photos of uav75 into a folder for each of its halves.

    Photos are numbered in the order of their names: the first, third, … are for choosing (``chosen_on``), the
    others are reported once (``reported``).
    """
    photos = sorted(set(photo_tiles(uav75, cache=cache).group.tolist()))
    found = {}
    for place, half in enumerate(("chosen_on", "reported")):
        found[half] = folder / half
        for kind in ("images", "masks"):
            (found[half] / kind).mkdir(parents=True, exist_ok=True)
            for photo in photos[place::2]:
                for path in (uav75 / kind).glob(f"*{photo}*"):
                    (found[half] / kind / path.name).symlink_to(path.resolve())
    return found


def photo_tiles(folder: Path, *, cache: Path) -> TileTable:
    """Cut photos of uav75 into tiles of 256 px."""
    return masked_photos.load(
        folder,
        rules=MaskRules(**MaskedConfig().rules()),
        group_pattern="(DSC[0-9]+)",
        cache=cache,
        show_progress=False,
    )


def markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """Lay out ``comparison_by_source.csv`` as a table: a row a run, AUROC with its interval by source."""
    sources = list(dict.fromkeys(row["tested_on"] for row in rows))
    told: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        figure = "{auroc:.3f} ({auroc_low:.3f} to {auroc_high:.3f}), {balanced_accuracy:.1%}".format(
            **{key: float(value) for key, value in row.items() if key.startswith(("auroc", "balanced"))}
        )
        told.setdefault((row["trained_on"], row["model.head"]), {})[row["tested_on"]] = figure
    lines = [["trained on", "head", *sources], ["---"] * (2 + len(sources))]
    lines += [[*key, *(figures[source] for source in sources)] for key, figures in told.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def validated(folder: Path) -> str:
    """Say how well a run did on its validation tiles in the epoch that was kept."""
    kept = min(report(folder)["history"], key=lambda epoch: epoch["val/loss"])
    return f"loss {kept['val/loss']:.4f}, accuracy {kept['val/accuracy']:.4f}"
