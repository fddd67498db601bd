"""The rows of speed on METU: each runs commands as a user types them, and says its figure beside its bar."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, median

import loop_ratios
import numpy as np
from commands import Commands, Done, accuracy, metrics, report, seconds_of
from scipy import stats

PROBE = ("model=efficientnet_lite0", "model.weights=imagenet", "recipe=probe")
TIMES = 3
SEEDS = range(5)
BENCHMARKS = Path(__file__).parent


class SpeedRows(Commands):
    """Rows of a quiet machine; medians of three."""

    def a(self) -> str:
        """The whole probe job, features not cached, groups cached."""
        groups = self._groups()
        runs = [self.cold_job() for _ in range(TIMES)]
        scores = [accuracy(self.metu_run("a-seeds", *PROBE, f"data.split.seed={seed}")[0]) for seed in SEEDS]
        return (
            f"{_told(runs)}; {report(runs[0].folder)['provenance']['engine']}; bars: 45 s and 2,500 MB; "
            f"accuracy over split seeds {mean(scores):.4f} (bar 0.996); groups {groups:.1f} s (bar 20)"
        )

    def b(self) -> str:
        """The same again, features cached."""
        self._with_features()
        runs = [self.measured("b", "train", *PROBE, *self.on_metu) for _ in range(TIMES)]
        parts = report(runs[0].folder)["timing"]["seconds"].items()
        inside = ", ".join(f"{name} {value:.1f}" for name, value in parts)
        return f"{_told(runs)} ({inside}); bar: 15 s"

    def c(self) -> str:
        """The whole probe job against the first Keras script's schedule."""
        import keras_speed

        self._with_features()
        told = keras_speed.compare(self.cold_job, self.scratch)
        return f"{told}; bar: 15 times"

    def d(self) -> str:
        """50 head settings by -m, a job a core, features cached, reports included."""
        self._with_features()
        strengths = ",".join(f"{value:.3g}" for value in np.geomspace(1e-5, 1, 50))
        _, seconds = self.metu_run("d", "-m", *PROBE, f"recipe.l2={strengths}", "sweep.jobs=auto")
        reports = len(list((self.scratch / "d").rglob("report.md")))
        return f"{seconds:.0f} s, {reports} reports; bar: 180 s"

    def e(self) -> str:
        """Training MobileNetV2 at 160 px: our loop over the hand-written one."""
        return f"{loop_ratios.by_hand(self._loops(loop_ratios.BY_HAND))}; bar: 0.95"

    def f(self) -> str:
        """The same: real tiles with augmentation=standard over random tensors in memory."""
        measured = self._loops(loop_ratios.GROUPS["tensors"])
        told = loop_ratios.ratio(measured, "ours", "tensors").told
        return f"{told}; a step: {loop_ratios.split_step(measured)}; bar: 0.93"

    def g(self) -> str:
        """The same: our settings over the defaults."""
        told = loop_ratios.against_defaults(self._loops(loop_ratios.DEFAULTS))
        return f"{told}; bar: 1.4 beyond channels_last"

    def h(self) -> str:
        """Errors of probe_then_finetune less those of probe, split seeds 0 to 4, paired."""
        errors: dict[str, list[int]] = {"probe": [], "probe_then_finetune": []}
        seconds = []
        for seed in SEEDS:
            for recipe, counted in errors.items():
                asked = [*PROBE[:2], f"recipe={recipe}", f"data.split.seed={seed}"]
                folder, took = self.metu_run(f"h-{recipe}", *asked)
                figures = metrics(folder)
                counted.append(round((1 - figures["accuracy"]) * figures["tiles"]))
            seconds.append(took)
        fewer = np.subtract(errors["probe_then_finetune"], errors["probe"])
        half = float(stats.t.ppf(0.975, len(fewer) - 1) * fewer.std(ddof=1) / np.sqrt(len(fewer)))
        return (
            f"{fewer.mean():+.1f} errors ({fewer.mean() - half:.1f} to {fewer.mean() + half:.1f}): "
            f"{errors['probe_then_finetune']} against {errors['probe']}; {median(seconds):.0f} s each; "
            "bar: fewer in the mean"
        )

    def i(self) -> str:
        """Predict 4,000 tiles with MobileNetV2 at 160 px, start-up apart."""
        tiny = ("model=mobilenetv2", "model.image_size=160", "trainer=smoke")
        model, _ = self.metu_run("i", *tiny)
        tiles = self.scratch / "tiles"
        tiles.mkdir(exist_ok=True)
        for path in sorted((self.metu / "Positive").iterdir())[:4000]:
            (tiles / path.name).symlink_to(path.resolve())
        rates, apart = [], []
        for _ in range(TIMES):
            done = self.measured("i-predict", "predict", str(model / "checkpoints" / "best.ckpt"), str(tiles))
            told = (done.folder / "run.log").read_text(encoding="utf-8").splitlines()
            began, ended = (seconds_of(line) for line in told if "engine:" in line or "predictions:" in line)
            rates.append(4000 / (ended - began))
            apart.append(done.seconds - (ended - began))
        engine = told[1].partition("engine: ")[2]
        told_rate = f"{median(rates):.0f} tiles/s ({engine})"
        return f"{told_rate}, start-up and end {median(apart):.1f} s; bar: 600 tiles/s"

    def j(self) -> str:
        """The end of the first training step on METU, groups cached."""
        self._groups()
        needed = "import hydra, crack_lightning.train, crack_lightning.experiment.training_run"
        imports, steps = [], []
        mark = self.scratch / "first_step"
        known = os.pathsep.join([str(BENCHMARKS), self.environment.get("PYTHONPATH", "")])
        watched = {"FIRST_STEP": str(mark), "PYTHONPATH": known}
        asked = ("model=mobilenetv2", "trainer=smoke", "plugins=[step_parts]")
        watcher = "+callbacks.first_step._target_=step_parts.FirstStep"
        for _ in range(TIMES):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", needed], check=True, env=self.environment)
            imports.append(time.perf_counter() - began)
            start = time.time()
            self.measured("j", "train", *asked, watcher, *self.on_metu, environment=watched)
            steps.append(float(mark.read_text(encoding="utf-8")) - start)
        return (
            f"{median(steps):.1f} s, imports alone {median(imports):.1f} s, between them "
            f"{median(np.subtract(steps, imports)):.1f} s; bar: imports + 3 s"
        )

    def cold_job(self) -> Done:
        """Run the probe job without kept features; the groups stay."""
        for kind in ("features", "engines"):
            shutil.rmtree(self.scratch / "cache" / kind, ignore_errors=True)
        return self.measured("a", "train", *PROBE, *self.on_metu)

    def _groups(self) -> float:
        """Have METU's groups in the cache; return the seconds of a run's data phase without them."""
        shutil.rmtree(self.scratch / "cache" / "surveys", ignore_errors=True)
        smoke = ("model=mobilenetv2", "model.image_size=32", "trainer=smoke")
        folder, _ = self.metu_run("groups", *smoke)
        return float(report(folder)["timing"]["seconds"]["data"])

    def _with_features(self) -> None:
        """Have the probe's features in the cache."""
        if not (self.scratch / "cache" / "features").exists():
            self.metu_run("features", *PROBE)

    def _loops(self, variants: tuple[str, ...]) -> loop_ratios.Measured:
        return loop_ratios.measure(variants, self.metu, turns=5, environment=self.environment)


def _told(runs: list[Done]) -> str:
    middle = sorted(runs, key=lambda done: done.seconds)[len(runs) // 2]
    largest = max(done.mib for done in runs) * 2**20 / 1e6
    return f"{middle.seconds:.1f} s ({middle.cpu_s:.0f} s of the cores), {largest:,.0f} MB"
