"""Checks that need a GPU, in one table: ``python benchmarks/gpu.py`` (under ten minutes on one GPU).

``--toy`` runs the same checks at a small size on any device, as the tests do on the CPU. All rows are run
even if one fails; the exit code is 1 if any fails.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from crack_lightning.model.backends.engines.eager import eager
from crack_lightning.model.backends.inference_modules import LogitNetwork
from crack_lightning.model.classifier import CrackClassifier
from crack_lightning.runtime.memory import OutOfMemoryError, explain_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Row = tuple[str, bool]

_PARENT = """
import ctypes, sys, tempfile
from pathlib import Path
import torch
from crack_lightning.experiment.trainers import build_test_trainer
from crack_lightning.runtime.hardware import plan_hardware
plan = plan_hardware(accelerator="auto", precision="auto", threads=1, num_workers=0)
build_test_trainer(Path(tempfile.gettempdir()), plan=plan, progress=False)  # as where several GPUs train
active = 0
if torch.cuda.is_available():
    driver, flags, state = ctypes.CDLL("libcuda.so.1"), ctypes.c_uint(), ctypes.c_int()
    assert driver.cuInit(0) == 0
    assert driver.cuDevicePrimaryCtxGetState(0, ctypes.byref(flags), ctypes.byref(state)) == 0
    active = state.value
sys.exit(3 if active else 0)
"""


@dataclass(frozen=True, kw_only=True)
class Size:
    """Size of the checks.

    Attributes:
        network: A network of timm.
        image_size: Side of a tile, pixels.
        batch: Tiles in a batch.
        steps: Number of steps that are timed or compared.
    """

    network: str
    image_size: int
    batch: int
    steps: int


FULL = Size(network="tf_efficientnet_lite0", image_size=224, batch=256, steps=30)
TOY = Size(network="resnet10t", image_size=64, batch=4, steps=2)


def throughput(device: str, size: Size) -> Row:
    """Compare the throughput of batches from the CPU with that of tensors on the device."""
    network = LogitNetwork(build(size)).to(device)
    compute = eager(network, device=device, dtype=torch.bfloat16)
    images = batch(size)
    from_cpu = rate(lambda: compute(images), size, device)
    there = images.to(device)
    with torch.inference_mode(), torch.autocast(device, dtype=torch.bfloat16):
        in_memory = rate(lambda: network(there), size, device)
    share = from_cpu / in_memory
    return f"{from_cpu:,.0f} of {in_memory:,.0f} tiles/s, {share:.0%}", share >= 0.5 or device == "cpu"


def peak_memory(device: str, size: Size) -> Row:
    """Check that the memory of training does not grow from step to step."""
    if device == "cpu":
        return "not counted on a CPU", True
    model, optimizer = learning(device, size)
    peaks = []
    for number in range(size.steps):
        step(model, optimizer, batch(size, seed=number), device)
        peaks.append(torch.cuda.max_memory_allocated() / 2**20)
    return f"{peaks[-1]:,.0f} MiB, {peaks[1]:,.0f} after two steps", peaks[-1] <= 1.05 * peaks[1]


def resumed(device: str, size: Size) -> Row:
    """Compare the weights of resumed training with those of uninterrupted training."""
    whole, optimizer = learning(device, size)
    saved: dict[str, Any] = {}
    for number in range(2 * size.steps):
        if number == size.steps:
            saved = deepcopy({"model": whole.state_dict(), "optimizer": optimizer.state_dict()})
        step(whole, optimizer, batch(size, seed=number), device)
    again, other = learning(device, size)
    again.load_state_dict(saved["model"])
    other.load_state_dict(saved["optimizer"])
    for number in range(size.steps, 2 * size.steps):
        step(again, other, batch(size, seed=number), device)
    pairs = zip(whole.parameters(), again.parameters(), strict=True)
    largest = max(float((one - two).detach().abs().max()) for one, two in pairs)
    return (
        f"largest difference of a weight {largest:.2g}",
        largest == 0 if device == "cpu" else largest < 1e-3,
    )


def compiled(device: str, size: Size) -> Row:
    """Compare the logits of the compiled network with those of the eager network."""
    network = LogitNetwork(build(size)).to(device)
    images = batch(size).to(device)
    with torch.inference_mode():
        expected = network(images)
        backend = "inductor" if device != "cpu" else "eager"
        found = torch.compile(network, backend=backend)(images)
    largest = float((found - expected).abs().max())
    return f"largest difference of a logit {largest:.2g}", largest < 1e-2


def precision(device: str, size: Size) -> Row:
    """Compare scores in bf16 with those in float32, for a pooled and a local head."""
    differences, holds = [], True
    for head in ("pooled", "local"):
        network = LogitNetwork(build(size, head=head))
        exact = eager(deepcopy(network), device=device)(batch(size))
        rough = eager(network, device=device, dtype=torch.bfloat16)(batch(size))
        scores = [functional.softmax(logits, dim=1)[:, 1] for logits in (exact, rough)]
        largest = float((scores[0] - scores[1]).abs().max())
        rounded = torch.equal(rough, rough.bfloat16().float())
        differences.append(f"{head} {largest:.2g}" + ", rounded to bf16" * rounded)
        holds &= largest < 0.05 and not rounded
    return "largest difference of a score: " + "; ".join(differences), holds


def out_of_memory(device: str, size: Size) -> Row:
    """Check the error message for a batch that does not fit into memory."""
    try:
        with explain_out_of_memory(batch_size=size.batch, image_size=size.image_size):
            torch.empty(2**50, dtype=torch.uint8, device=device)
    except OutOfMemoryError as error:
        where = "this machine" if device == "cpu" else "the GPU"
        advice = f"lower data.batch_size={size.batch} to {size.batch // 2}"
        return str(error)[:70], f"memory: {where} has not enough" in str(error) and advice in str(error)
    return "no error", False


def parent(_device: str, _size: Size) -> Row:
    """Check that planning hardware and building a test trainer opens no CUDA context."""
    code = subprocess.run([sys.executable, "-c", _PARENT], check=False, timeout=120).returncode
    return f"exit code {code}, 3 where a context is open", code == 0


ROWS: dict[str, Callable[[str, Size], Row]] = {
    "throughput against tensors in memory": throughput,
    "peak memory": peak_memory,
    "exactness of resume": resumed,
    "compile": compiled,
    "bf16 against float32 scores": precision,
    "out-of-memory message": out_of_memory,
    "no context opened by a parent": parent,
}


def build(size: Size, *, head: str = "pooled") -> CrackClassifier:
    """Build a classifier with random weights, in evaluation mode."""
    torch.manual_seed(0)
    classifier = CrackClassifier(
        name=size.network,
        class_names=["intact", "crack"],
        positive_class="crack",
        image_size=size.image_size,
        mean=[0.5] * 3,
        std=[0.5] * 3,
        drop_rate=0.0,
        drop_path_rate=0.0,
        recipe="scratch",
        backbone_lr_scale=1.0,
        stage_lr_scale=1.0,
        unfreeze_by=0.5,
        loss={"name": "cross_entropy"},
        optimizer={"name": "adamw", "lr": 1e-3},
        scheduler={"name": "constant"},
        head=head,
    ).eval()
    for parameter in classifier.backbone.get_classifier().parameters():  # type: ignore[operator]
        torch.nn.init.normal_(parameter, std=0.05)
    return classifier


def learning(device: str, size: Size) -> tuple[CrackClassifier, torch.optim.Optimizer]:
    """Return a classifier in training mode on a device, with its optimizer."""
    model = build(size).to(device).train()
    return model, torch.optim.AdamW(model.parameters(), lr=1e-3)


def step(model: CrackClassifier, optimizer: torch.optim.Optimizer, images: torch.Tensor, device: str) -> None:
    """Take a step of training under autocast."""
    targets = torch.arange(len(images), device=device) % 2
    with torch.autocast(device, dtype=torch.bfloat16):
        loss = functional.cross_entropy(model(images.to(device)), targets)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def batch(size: Size, *, seed: int = 0) -> torch.Tensor:
    """Return random tiles, uint8 ``(N, 3, S, S)``."""
    generator = torch.Generator().manual_seed(seed)
    shape = (size.batch, 3, size.image_size, size.image_size)
    return torch.randint(256, shape, generator=generator, dtype=torch.uint8)


def rate(work: Callable[[], object], size: Size, device: str) -> float:
    """Return tiles per second of work on batches, after one untimed batch."""
    work()
    wait(device)
    began = time.perf_counter()
    for _ in range(size.steps):
        work()
    wait(device)
    return size.steps * size.batch / (time.perf_counter() - began)


def wait(device: str) -> None:
    """Wait for the device."""
    if device != "cpu":
        torch.cuda.synchronize()


def table(device: str, size: Size) -> list[tuple[str, str, bool]]:
    """Return name, measurement and success of each row; a row that raises fails."""
    found = []
    for name, measure in ROWS.items():
        try:
            measured, holds = measure(device, size)
        except Exception as error:  # noqa: BLE001  # so that the other rows are run
            measured, holds = f"{type(error).__name__}: {str(error)[:80]}", False
        found.append((name, measured, holds))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--toy", action="store_true", help="small, on any device")
    options = parser.parse_args(arguments)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not options.toy:
        parser.error("there is no GPU; --toy runs the checks on the CPU")
    rows = table(device, TOY if options.toy else FULL)
    print("| what | measured | holds |\n| --- | --- | --- |")
    for name, measured, holds in rows:
        print(f"| {name} | {measured} | {'yes' if holds else 'NO'} |")
    return 0 if all(holds for _, _, holds in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
