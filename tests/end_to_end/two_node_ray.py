"""Predict drawn tiles on a Ray of two nodes, kill one half-way: ``python tests/end_to_end/two_node_ray.py``.

The nodes are network namespaces of this machine. All rows must be there once and be those of one machine, to
the bit, and only shards that ran on the lost node are computed again. Needs root, ``ip``, and the extra
``ray``.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pyarrow import parquet
from two_hosts import Host, two_hosts

from crack_lightning.data.synthesis import drawn_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

PORT = 6399
PREDICT = ("-m", "crack_lightning.predict")
RAY = str(Path(sys.executable).with_name("ray"))


def start_node(host: Host, temporary: Path, *, head: Host | None = None) -> None:
    """Start a node of Ray with one core on a host: the head, or one that joins it."""
    role = ["--head", f"--port={PORT}", f"--temp-dir={temporary}", "--include-dashboard=false"]
    if head is not None:
        role = [f"--address={head.address}:{PORT}"]
    line = [RAY, "start", *role, f"--node-ip-address={host.address}", "--num-cpus=1"]
    done = host.run(*line, "--object-store-memory=100000000", capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def predict(arguments: Sequence[str], outputs: Path) -> list[str]:
    """Return the command line of a prediction."""
    own = (f"hydra.run.dir={outputs}", "trainer.threads=1", "progress=false", "trainer.accelerator=cpu")
    return [sys.executable, *PREDICT, *arguments, *own]


def parts(folder: Path) -> dict[Path, int]:
    """Return the finished shards with the time at which each was written."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("predictions/part-*.parquet")}


def main(arguments: Sequence[str] | None = None) -> str:
    """Predict on one machine, then on two nodes of which one is killed; compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=20_000)
    parser.add_argument("--tile-px", type=int, default=64)
    parser.add_argument("--shard", type=int, default=256)
    parser.add_argument("--checkpoint", default="builtin")
    options = parser.parse_args(arguments)
    os.environ |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    with tempfile.TemporaryDirectory() as name, two_hosts() as (first, second):
        scratch = Path(name)
        table = drawn_tiles.load(
            seed=0, num_tiles=options.tiles, tile_px=options.tile_px, num_workers=2, cache=scratch / "cache"
        )
        folders = sorted({path.partition("/")[0] for path in table.path.tolist()})  # not of their masks
        shards = -(-len(table) // options.shard)
        given = [
            f"checkpoint={options.checkpoint}",
            *(str(table.root / folder) for folder in folders),
            "map=false",
        ]
        began = time.monotonic()
        subprocess.run(predict(given, scratch / "alone"), check=True, stdout=subprocess.DEVNULL)
        alone_s = time.monotonic() - began
        start_node(first, scratch / "ray")
        start_node(second, scratch / "ray", head=first)
        folder, address = scratch / "shared", f"cluster.address={first.address}:{PORT}"
        on_ray = ["cluster=ray", address, f"cluster.shard_size={options.shard}"]
        began = time.monotonic()
        process = first.start(*predict([*given, *on_ray], folder), stdout=subprocess.DEVNULL)
        while len(parts(folder)) < shards // 2:
            assert process.poll() is None, f"ended with {process.returncode} before half was done"
            time.sleep(0.05)
        before, killed = parts(folder), second.kill()
        assert process.wait() == 0, f"exit code {process.returncode}"
        shared_s = time.monotonic() - began
        assert before.items() <= parts(folder).items(), "a finished shard was computed again"
        log = (folder / "run.log").read_text(encoding="utf-8")
        lost = sorted(set(re.findall(r"shard (\d+) was lost", log)))
        equal = compare(scratch / "alone" / "predictions.csv", folder)
        resume = [f"resume={folder}", "cluster=ray", address, "progress=false"]
        again = first.run(sys.executable, *PREDICT, *resume, capture_output=True)
        assert again.returncode == 0, again.stderr
        first.run(RAY, "stop", "--force", capture_output=True)
    return (
        f"{equal:,} tiles once each, to the bit; {len(before)} of {shards} "
        f"shards were done when a node of {killed} processes was killed, {len(lost)} were lost and computed "
        f"again ({', '.join(lost)}); {alone_s:.0f} s by one thread alone, {shared_s:.0f} s on the nodes"
    )


def compare(table: Path, folder: Path) -> int:
    """Return the number of rows that a CSV file and Parquet parts have in common, which is all of both."""
    with table.open(encoding="utf-8", newline="") as file:
        expected = {row["path"]: row for row in csv.DictReader(file)}
    found = [row for path in parts(folder) for row in parquet.read_table(path, partitioning=None).to_pylist()]
    assert len(found) == len(expected), (len(found), len(expected))
    assert {row["path"] for row in found} == expected.keys()
    for row in found:
        other = expected[row["path"]]
        for column, value in row.items():
            if isinstance(value, float):
                assert np.float32(value) == np.float32(other[column]), (column, row, other)
            elif isinstance(value, str):
                assert value == other[column], (column, row, other)
            else:
                assert {True: "yes", False: "no", None: ""}[value] == other[column], (column, row, other)
    return len(found)


if __name__ == "__main__":
    print(main())
