"""Speed of frozen-backbone features, relative to its parts and to matrix multiplication."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.utils.flop_counter import FlopCounterMode
from turns import HEADING, Ratio, in_turns, rate_of

from crack_lightning.data.io.loading import map_in_order, read_batch
from crack_lightning.model.backbones import build_backbone, normalisation
from crack_lightning.model.backends.inference_modules import FeatureNetwork
from crack_lightning.model.backends.select import prepare_backend
from crack_lightning.model.heads.pooled import Pooled
from crack_lightning.runtime.hardware import available_cores, configure_process

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from commands import Commands

NETWORK, SIZE = "tf_efficientnet_lite0", 96
TILES, BATCH, SIDE = 1024, 32, 2048


def measure(commands: Commands, *, turns: int) -> str:
    """Compare feature extraction with its backend on tiles in memory, with decoding and with matrix products.

    Floating-point operations are those of the network in eager PyTorch, two per multiply-add.
    """
    configure_process(available_cores())
    every = sorted(commands.metu.glob("*/*.jpg"))
    paths = every[:: max(1, len(every) // TILES)][:TILES]
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    images = read_batch(paths, size=SIZE)
    network = _network()
    gigaflops_a_tile = _flops(network, images[:1]) / 1e9
    matrix = torch.rand(SIDE, SIDE)
    _, compute = prepare_backend(
        network,
        wanted="auto",
        image_size=SIZE,
        threads=available_cores(),
        cache=commands.cache,
        key="engine",
    )
    count, product = len(paths), 4 * 2 * SIDE**3 / 1e9
    whole = rate_of(lambda: list(map_in_order(lambda some: compute(_read(some)), batches)), count)
    backend = rate_of(lambda: list(map_in_order(compute, torch.split(images, BATCH))), count)
    decoding = rate_of(lambda: list(map_in_order(_read, batches)), count)
    products = rate_of(lambda: [matrix @ matrix for _ in range(4)], product)
    work = {"pass": whole, "backend": backend, "decoding": decoding, "product": products}
    rates = in_turns(work, turns=turns)
    gigaflops = [gigaflops_a_tile * rate for rate in rates["pass"]]
    ratios = [
        Ratio("feature pass, files to features", "its backend, from memory", rates["pass"], rates["backend"]),
        Ratio("feature pass, files to features", "its decoding alone", rates["pass"], rates["decoding"]),
        Ratio("feature pass, GFLOP", "matrix product, GFLOP", gigaflops, rates["product"]),
    ]
    return "\n".join([HEADING, *(ratio.as_row() for ratio in ratios)])


def _network() -> FeatureNetwork:
    backbone = build_backbone(NETWORK, num_classes=2, drop_rate=0.0, drop_path_rate=0.0, image_size=SIZE).to(
        memory_format=torch.channels_last
    )
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in normalisation(NETWORK))
    return FeatureNetwork(cast("Any", SimpleNamespace(head=Pooled(), backbone=backbone, mean=mean, std=std)))


def _read(paths: Sequence[Path]) -> torch.Tensor:
    return read_batch(paths, size=SIZE)


def _flops(network: torch.nn.Module, image: torch.Tensor) -> int:
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        network(image)
    return int(counter.get_total_flops())
