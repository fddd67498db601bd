"""Train on two hosts, stop both, kill one, resume: ``python tests/end_to_end/two_host_ddp.py``.

The hosts are network namespaces of this machine, which share its disk, and average gradients by gloo. The
weights and predictions must be those of one process within 1e-6. Needs root and ``ip``.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from two_hosts import Host, two_hosts

if TYPE_CHECKING:
    from collections.abc import Sequence

PORT = 29555
LARGEST_DIFFERENCE = 1e-6
SETTINGS = (
    *("data.synthetic.tile_px=64", "data.batch_size=8", "augmentation=standard"),
    *("model=timm", "model.name=test_convnext", "model.head=pooled", "model.image_size=32"),
    *("model.drop_rate=0", "model.drop_path_rate=0", "optimizer=sgd", "optimizer.lr=1e-2"),
    *("trainer.accelerator=cpu", "trainer.threads=1", "trainer.checkpoint_every=0"),
    *("callbacks=none", "progress=false"),
)
TRAIN = ("-m", "crack_lightning.train")


def by_variables(host: Host, first: Host, number: int, *arguments: str) -> subprocess.Popen[bytes]:
    """Start the command on a host that is numbered by the user's own variables."""
    own = {"NODE_RANK": str(number), "MASTER_ADDR": first.address, "MASTER_PORT": str(PORT)}
    line = [sys.executable, *TRAIN, *arguments]
    return host.start(*line, env=os.environ | own, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)


def by_torchrun(host: Host, first: Host, number: int, *arguments: str) -> subprocess.Popen[bytes]:
    """Start the command on a host by torchrun."""
    start = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    where = [f"--node-rank={number}", f"--master-addr={first.address}", f"--master-port={PORT + 1}"]
    line = [*start, *where, *TRAIN, *arguments]
    return host.start(*line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)


def epochs(folder: Path) -> int:
    """Return the number of epochs that a run has done."""
    log = folder / "run.log"
    return len(re.findall(r" INFO epoch \d+ of ", log.read_text(encoding="utf-8"))) if log.exists() else 0


def until_epoch(number: int, folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a run has done some epochs; its process must not end before."""
    while epochs(folder) < number:
        assert process.poll() is None, process.communicate()[1].decode()
        time.sleep(0.05)


def main(arguments: Sequence[str] | None = None) -> str:
    """Train in one process, then on two hosts of which one is killed; resume; compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args(arguments)
    given = [*SETTINGS, f"data.synthetic.num_tiles={options.tiles}", f"trainer.max_epochs={options.epochs}"]
    with tempfile.TemporaryDirectory() as name, two_hosts() as (first, second):
        alone, shared = Path(name) / "alone", Path(name) / "shared"
        line = [sys.executable, *TRAIN, *given, f"hydra.run.dir={alone}"]
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        began = time.monotonic()
        own = [*given, "trainer.nodes=2", f"hydra.run.dir={shared}"]
        stopped = [by_variables(host, first, number, *own) for number, host in enumerate((first, second))]
        until_epoch(1, shared, stopped[0])
        stopped[1].terminate()
        assert [process.wait(timeout=120) for process in stopped] == [128 + signal.SIGTERM] * 2
        resume = [f"resume={shared}", "progress=false"]
        running = [by_variables(host, first, number, *resume) for number, host in enumerate((first, second))]
        until_epoch(options.epochs // 2, shared, running[0])
        second.kill()
        _, said = running[0].communicate(timeout=120)
        assert running[0].returncode == 2, said.decode()
        assert b"the connection to another host was lost" in said, said.decode()
        done = epochs(shared)
        resumed = [by_torchrun(host, first, number, *resume) for number, host in enumerate((first, second))]
        for process in resumed:
            _, said = process.communicate(timeout=300)
            assert process.returncode == 0, said.decode()
        took = time.monotonic() - began
        assert epochs(shared) == options.epochs, "an epoch was trained twice, or not at all"
        weights, scores = largest_differences(alone, shared)
    assert weights <= LARGEST_DIFFERENCE, weights
    assert scores <= LARGEST_DIFFERENCE, scores
    return (
        f"{options.epochs} epochs of {options.tiles} tiles on two hosts, both stopped by a signal to the "
        f"second, which is killed after epoch {done}, then resumed by "
        f"torchrun, {took:.0f} s: largest difference from one process {weights:.2g} in a weight, "
        f"{scores:.2g} in a probability"
    )


def largest_differences(one: Path, other: Path) -> tuple[float, float]:
    """Return the largest differences of two runs in a weight and in a test probability."""
    states = [
        torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
        for folder in (one, other)
    ]
    assert states[0].keys() == states[1].keys()
    weights = max(
        float((value - states[1][name]).abs().max()) for name, value in states[0].items() if value.numel()
    )
    tables = []
    for folder in (one, other):
        with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
            tables.append({row["path"]: float(row["probability_crack"]) for row in csv.DictReader(file)})
    assert tables[0].keys() == tables[1].keys()
    return weights, max(abs(value - tables[1][path]) for path, value in tables[0].items())


if __name__ == "__main__":
    print(main())
