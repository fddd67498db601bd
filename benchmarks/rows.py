"""Run the acceptance rows of one piece of work and print its table: ``python benchmarks/rows.py foundation``.

Each row is a command as a user types it, in a process of its own, with an empty cache; its figure comes from
what the command wrote. Results go to ``benchmarks/results/``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from functools import cached_property
from pathlib import Path
from statistics import mean, median
from typing import Any

import evidence
import honest
import localisation

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"


class Rows:
    """The rows of the foundation, with the folder of real images and a scratch folder."""

    def __init__(self, data: Path, scratch: Path) -> None:
        self.metu, self.uav75, self.scratch = data / "metu", data / "uav75", scratch
        self.environment = os.environ | {"CRACK_LIGHTNING_CACHE": str(scratch / "cache")}

    def run(self, row: str, command: str, *arguments: str) -> tuple[Path, float]:
        """Run a command; return its only new folder and the seconds it took."""
        outputs = self.scratch / row
        line = [sys.executable, "-m", f"crack_lightning.{command}", *arguments, f"outputs={outputs}"]
        began = time.perf_counter()
        subprocess.run([*line, "progress=false"], check=True, env=self.environment)
        return max(
            outputs.glob("*/*"), key=lambda folder: folder.stat().st_mtime
        ), time.perf_counter() - began

    def metu_run(self, row: str, *arguments: str) -> tuple[Path, float]:
        """Train on the METU tiles."""
        return self.run(row, "train", *arguments, "data=metu", f"data.root={self.metu}")

    def a(self) -> str:
        """Drawn data, default settings, empty cache."""
        folder, seconds = self.run("a", "train", "model=mobilenetv2")
        return f"accuracy {accuracy(folder):.4f} in {seconds:.0f} s"

    def b(self) -> str:
        """METU from scratch, default settings."""
        folder, seconds = self.metu_run("b", "model=mobilenetv2")
        return f"accuracy {accuracy(folder):.4f} in {seconds:.0f} s"

    def c(self) -> str:
        """A probe on frozen ImageNet features, split seeds 0 to 4."""
        probe = ["model=efficientnet_lite0", "model.weights=imagenet", "recipe=probe"]
        runs = [self.metu_run(f"c{seed}", *probe, f"data.split.seed={seed}") for seed in range(5)]
        scores = [accuracy(folder) for folder, _ in runs]
        each = ", ".join(f"{score:.4f}" for score in scores)
        return f"mean accuracy {mean(scores):.4f} ({each}), {mean(seconds for _, seconds in runs):.0f} s each"

    def d(self) -> str:
        """The plain CNN, six epochs; its classification report against its predictions."""
        folder, seconds = self.metu_run("d", "model=plain_cnn", "trainer.max_epochs=6")
        predicted = read_rows(folder / "predictions.csv")
        right = mean(row["label"] == row["predicted"] for row in predicted)
        assert f"{right:.4f}" in (folder / "report" / "classification_report.txt").read_text(encoding="utf-8")
        return f"accuracy {accuracy(folder):.4f} in {seconds:.0f} s; the report agrees with predictions.csv"

    def f(self) -> str:
        """Predict the cracked test tiles of (b), with pictures."""
        folder = max((self.scratch / "b").glob("*/*"))
        tiles = self.scratch / "cracked"
        tiles.mkdir(exist_ok=True)
        for row in read_rows(folder / "predictions.csv"):
            if row["label"] == "crack":
                (tiles / Path(row["path"]).name).symlink_to((self.metu / row["path"]).resolve())
        arguments = [str(folder / "checkpoints" / "best.ckpt"), str(tiles), "annotate=true"]
        made, seconds = self.run("f", "predict", *arguments)
        called = mean(row["predicted"] == "crack" for row in read_rows(made / "predictions.csv"))
        pictures = len(list((made / "annotated").iterdir()))
        return f"{called:.4f} called crack, {pictures} pictures, {seconds:.0f} s"

    def h(self) -> str:
        """The model of (a) on sets that it has never seen."""
        best = max((self.scratch / "a").glob("*/*")) / "checkpoints" / "best.ckpt"
        metu, _ = self.run("h-metu", "evaluate", f"checkpoint={best}", "data=metu", f"data.root={self.metu}")
        photos = ["data=masked_photos", f"data.root={self.uav75}", 'data.group_pattern="(DSC[0-9]+)"']
        uav, _ = self.run("h-uav75", "evaluate", f"checkpoint={best}", *photos)
        return f"AUROC METU {metrics(metu)['auroc']:.3f}, uav75 {metrics(uav)['auroc']:.3f}"


class FastRows(Rows):
    """The rows of speed on METU; medians of three."""

    probe = ("model=efficientnet_lite0", "model.weights=imagenet", "recipe=probe")

    def a(self) -> str:
        """A probe with its groups in the cache, features computed; the groups' own seconds apart."""
        first, _ = self.metu_run("a", *self.probe)
        groups = report(first)["timing"]["seconds"]["data"]
        runs = []
        for _ in range(3):
            for kind in ("features", "engines"):
                shutil.rmtree(self.scratch / "cache" / kind)
            runs.append(self.metu_run("a", *self.probe))
        made = report(runs[0][0])
        return (
            f"{median(seconds for _, seconds in runs):.1f} s, {made['timing']['peak_memory_mib']} MiB, "
            f"{made['provenance']['engine']}; groups {groups:.1f} s"
        )

    def b(self) -> str:
        """The same again, features cached; needs a."""
        runs = [self.metu_run("b", *self.probe) for _ in range(3)]
        parts = ", ".join(
            f"{name} {value:.1f}" for name, value in report(runs[0][0])["timing"]["seconds"].items()
        )
        return f"{median(seconds for _, seconds in runs):.1f} s ({parts})"

    def i(self) -> str:
        """Predict 4,000 tiles with MobileNetV2 at 160 px, start-up apart."""
        tiny = ("model=mobilenetv2", "model.image_size=160", "trainer=smoke")
        model, _ = self.metu_run("i", *tiny)
        tiles = self.scratch / "tiles"
        tiles.mkdir(exist_ok=True)
        for path in sorted((self.metu / "Positive").iterdir())[:4000]:
            (tiles / path.name).symlink_to(path.resolve())
        rates = []
        for _ in range(3):
            made, _ = self.run("i-predict", "predict", str(model / "checkpoints" / "best.ckpt"), str(tiles))
            told = (made / "run.log").read_text(encoding="utf-8").splitlines()
            began, ended = (seconds_of(line) for line in told if "engine:" in line or "predictions:" in line)
            rates.append(4000 / (ended - began))
        return f"{median(rates):.0f} tiles/s ({told[1].partition('engine: ')[2]})"


class HonestRows(Rows):
    """The rows of honest data."""

    def a(self) -> str:
        """An audit of METU, empty cache; altered tiles found again; plain drawn walls."""
        seconds, mib = honest.timed_audit(self.metu, self.scratch, self.environment)
        counts = json.loads(next((self.scratch / "audits").glob("*/*/audit.json")).read_text("utf-8"))[
            "counts"
        ]
        found = honest.twin_recall(self.metu, self.scratch / "altered")
        again = ", ".join(f"{way} {share:.1%}" for way, share in found.items())
        tiles, pairs = honest.twins_of_plain_walls()
        return (
            f"{seconds:.1f} s, {mib:.0f} MiB; {counts['identical_files']} identical files in "
            f"{counts['identical_sets']} sets; found again: {again}; {pairs} pairs in {tiles} plain tiles"
        )

    def b(self) -> str:
        """Audits of 10,000, 20,000 and 40,000 tiles, empty cache."""
        found = honest.scaling(self.metu, self.scratch, self.environment)
        return "; ".join(
            f"{size:,}: {seconds:.1f} s, {mib:.0f} MiB" for size, (seconds, mib) in found.items()
        )

    def d(self) -> str:
        """Photos recovered from drawn tiles: precision, recall and F1 over pairs."""
        found = honest.recovered_photos(self.scratch / "walls")
        return "; ".join(
            f"{kind} {', '.join(f'{value:.3f}' for value in values)}" for kind, values in found.items()
        )

    def e(self) -> str:
        """Random against grouped splits of METU, frozen features, 20 split seeds."""
        return "; ".join(
            f"{row['tiles']} tiles: random {row['random']:.2f} %, grouped {row['grouped']:.2f} %, difference "
            f"{row['difference']:.2f} ({row['interval'][0]:.2f} to {row['interval'][1]:.2f})"
            for row in honest.learning_curve(self.metu, self.scratch / "cache")
        )

    def f(self) -> str:
        """A probe of METU, tested on uav75."""
        folder, _ = self.metu_run("f", *FastRows.probe)
        best = folder / "checkpoints" / "best.ckpt"
        photos = ["data=masked_photos", f"data.root={self.uav75}", "data.masked.hard_negatives=[204]"]
        uav, _ = self.run("f-uav75", "evaluate", f"checkpoint={best}", *photos)
        return f"AUROC {metrics(uav)['auroc']:.3f}, accuracy {metrics(uav)['accuracy']:.4f}"


class EvidenceRows(Rows):
    """The rows of evidence."""

    @cached_property
    def default_run(self) -> Path:
        """The folder of a default run."""
        return self.run("default", "train", "model=mobilenetv2")[0]

    def c(self) -> str:
        """Probability of detection: the default run's report, and its model on graded drawn photos."""
        return evidence.row_c(self.default_run)

    def d(self) -> str:
        """Where the default model looks on drawn tiles: skill by branches, and that of shuffled weights."""
        return localisation.row_d(self.default_run, self.scratch / "cache")

    def e(self) -> str:
        """Calibration and promised recall of a probe of 200 tiles, 100 split seeds."""
        return evidence.row_e(self.scratch / "cache")


def seconds_of(line: str) -> float:
    """Return when a line was logged, seconds."""
    return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()


def report(folder: Path) -> dict[str, Any]:
    """Return a run's report."""
    contents: dict[str, Any] = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    return contents


def metrics(folder: Path) -> dict[str, Any]:
    """Return the test figures of a run."""
    contents = report(folder)
    return {**contents["metrics"], "auroc": contents["classes"]["crack"]["auroc"]}


def accuracy(folder: Path) -> float:
    """Return the test accuracy of a run."""
    return float(metrics(folder)["accuracy"])


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


WORKS = {
    "foundation": (Rows, "a,b,c,d,f,h"),
    "honest": (HonestRows, "a,b,d,e,f"),
    "evidence": (EvidenceRows, "c,d,e"),
    "fast": (FastRows, "a,b,i"),
}


def main() -> None:
    """Run the rows that were asked for, in their order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=sorted(WORKS))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument(
        "--rows", help="some of them, as in a,b; foundation's f needs b and h a, fast's b needs a"
    )
    asked = parser.parse_args()
    if not asked.data.is_dir():
        parser.error(f"--data: there is no folder '{asked.data}'")
    lines = [f"# {asked.work}: {shlex.join(sys.argv)}", "", "| row | what | figure |", "| --- | --- | --- |"]
    with tempfile.TemporaryDirectory() as scratch:
        kind, every = WORKS[asked.work]
        rows = kind(asked.data.resolve(), Path(scratch))
        for name in (asked.rows or every).split(","):
            check = getattr(rows, name)
            lines.append(f"| {name} | {(check.__doc__ or '').strip()} | {check()} |")
            print(lines[-1], flush=True)
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"{asked.work}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
