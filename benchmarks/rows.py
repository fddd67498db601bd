"""Run the acceptance rows of one piece of work and print its table: ``python benchmarks/rows.py foundation``.

Each row is a command as a user types it, in a process of its own, with an empty cache; its figure comes from
what the command wrote. Results go to ``benchmarks/results/``.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from functools import cached_property
from pathlib import Path
from statistics import mean

import evidence
import foreign_rows
import honest
import job_cost
import localisation
import reports
import searches
import sweeps
from commands import Commands, accuracy, metrics, read_rows
from speed import PROBE, SpeedRows
from transfer import TransferRows

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"


class Rows(Commands):
    """The rows of the foundation."""

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


class HonestRows(Commands):
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
        folder, _ = self.metu_run("f", *PROBE)
        best = folder / "checkpoints" / "best.ckpt"
        photos = ["data=masked_photos", f"data.root={self.uav75}", "data.masked.hard_negatives=[204]"]
        uav, _ = self.run("f-uav75", "evaluate", f"checkpoint={best}", *photos)
        return f"AUROC {metrics(uav)['auroc']:.3f}, accuracy {metrics(uav)['accuracy']:.4f}"


class EvidenceRows(Commands):
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

    def f(self) -> str:
        """Foreign pictures that the default model and a probe of efficientnet_lite0 mark."""
        probe = self.run("f", "train", *PROBE)[0]
        runs = {"default": self.default_run, "probe": probe}
        return "; ".join(f"{name}: {foreign_rows.row_f(run, self.uav75)}" for name, run in runs.items())

    def g(self) -> str:
        """Pages in headless Chromium at 1280 and 390 px and on paper, light and dark, network cut."""
        return reports.row_g(ROOT)

    def h(self) -> str:
        """Evaluation and report of 12,000 tiles."""
        return reports.row_h(self.scratch / "h")


class SweepRows(Commands):
    """The rows of sweeps."""

    def a(self) -> str:
        """40 trials of TPE on drawn data, nine epochs each, five seeds: with ASHA against unpruned."""
        return searches.pruning(self)

    def b(self) -> str:
        """Twelve jobs, five of them failing in five ways; then the five again."""
        return sweeps.injected_faults(self.scratch, self.environment)

    def c(self) -> str:
        """A sweep of sixty jobs killed ten times and resumed."""
        return sweeps.killed_sweep(self.scratch, self.environment)

    def e(self) -> str:
        """A sweep of two jobs, each of two processes; 20 steps of two processes against those of one."""
        return sweeps.shared_steps(self.scratch, self.environment)

    def f(self) -> str:
        """100 head trials on METU's features, each view and size being kept; how long."""
        return searches.heads(self)

    def g(self) -> str:
        """What a job costs that does nothing, median of 20."""
        return job_cost.overhead(self.scratch, self.environment)


WORKS = {
    "foundation": (Rows, "a,b,c,d,f,h"),
    "honest": (HonestRows, "a,b,d,e,f"),
    "speed": (SpeedRows, "a,b,c,d,e,f,g,h,i,j"),
    "evidence": (EvidenceRows, "c,d,e,f,g,h"),
    "sweeps": (SweepRows, "a,b,c,e,f,g"),
    "transfer": (TransferRows, "a,b,c,d,e,f,g,shipped,resolution,removals"),
}


def main() -> None:
    """Run the rows that were asked for, in their order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=sorted(WORKS))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--rows", help="some of them, as in a,b; foundation's f needs b and h a")
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
