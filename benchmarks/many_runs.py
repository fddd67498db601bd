"""Time and memory of ``compare`` over 1,000 and 10,000 run folders, some of them damaged or unfinished."""

from __future__ import annotations

import copy
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.runtime.files.csv_files import read_table, write_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from commands import Commands

SIZES = (1_000, 10_000)
SEEDS, TILES, FAULTY_EVERY = 4, 2_400, 50
TINY = (
    *("trainer=smoke", "model=plain_cnn", "model.image_size=48", "data.batch_size=8"),
    *("data.synthetic.tile_px=64", "data.synthetic.num_tiles=240"),
)


def measure(commands: Commands, *, turns: int) -> str:
    """Compare the folders of each size ``turns`` times."""
    base = commands.run("train", *TINY).folder
    lines = ["| compare | seconds, each time | peak memory |", "|---|---|---|"]
    for size in SIZES:
        runs = commands.scratch / f"{size} runs"
        faulty = write_runs(base, runs, size)
        done = [commands.run("compare", str(runs)) for _ in range(turns)]
        page = max((commands.scratch / "outputs").glob("*/*_compare*/comparison.json"), key=_age)
        contents = json.loads(page.read_text(encoding="utf-8"))
        assert len(contents["runs"]) + len(contents["without"]) == size
        assert len(contents["without"]) == faulty
        seconds = ", ".join(f"{run.seconds:.1f}" for run in done)
        lines.append(f"| {size:,} folders, {faulty} of them faulty | {seconds} | {done[-1].mib:,.0f} MiB |")
        shutil.rmtree(runs)
    return "\n".join(lines)


def write_runs(base: Path, folder: Path, number: int) -> int:
    """Write run folders like a finished one, but with results of their own; return how many are faulty."""
    report = json.loads((base / "report" / "report.json").read_text(encoding="utf-8"))
    state = json.loads((base / "state.json").read_text(encoding="utf-8"))
    columns, rows = read_table(base / "predictions.csv")
    rows = [
        rows[tile % len(rows)] | {"path": f"tiles/{tile:05d}.jpg", "group": f"photo {tile // 20}"}
        for tile in range(TILES)
    ]
    faulty = 0
    for place, results in enumerate(_results(report, state, number)):
        run = folder / str(place)
        (run / "report").mkdir(parents=True)
        shutil.copy(base / "config.yaml", run)
        right = results.pop("right")
        text = json.dumps(results["report"], indent=2)
        if is_faulty := place % FAULTY_EVERY == 0:  # in turns without a report and with half of it
            text = text[: len(text) // 2] if place % (2 * FAULTY_EVERY) else ""
        faulty += is_faulty
        if text:
            (run / "report" / "report.json").write_text(text, encoding="utf-8")
        (run / "state.json").write_text(json.dumps(results["state"], indent=1), encoding="utf-8")
        cells = (
            [*({**row, "predicted": row["label"] if hit else _other(row["label"])}[name] for name in columns)]
            for row, hit in zip(rows, right.tolist(), strict=True)
        )
        write_table(run / "predictions.csv", columns, cells)
    return faulty


def _results(report: dict[str, Any], state: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    """Yield report, state and correct predictions of runs over penalties and seeds."""
    rng = np.random.default_rng(0)
    report["metrics"]["tiles"] = TILES
    for place in range(number):
        if place % SEEDS == 0:
            penalty, error = float(10 ** rng.uniform(-6, -1)), rng.uniform(0.002, 0.06)
        right = rng.random(TILES) >= error
        accuracy = float(right.mean())
        own, own_state = copy.deepcopy(report), copy.deepcopy(state)
        own["metrics"] |= {"accuracy": accuracy, "errors": int((~right).sum())}
        own["provenance"]["settings"]["optimizer"]["weight_decay"] = penalty
        own["provenance"]["settings"]["seed"] = place % SEEDS
        own_state["validation"]["val/accuracy"] = min(1.0, accuracy + float(rng.normal(0, 0.002)))
        yield {"report": own, "state": own_state, "right": right}


def _age(path: Path) -> float:
    return path.stat().st_mtime


def _other(label: str) -> str:
    return {"crack": "intact", "intact": "crack"}[label]
