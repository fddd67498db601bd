"""Networks that OpenVINO runs leave the process as they found it."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from crack_lightning.model.backends.engines.openvino import TileCompute, convert
from crack_lightning.runtime.errors import Interrupted
from crack_lightning.runtime.processes import raise_on_sigterm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Mean(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.float().mean((2, 3))


def be_stopped_after_networks_ended(folder: Path, *, in_thread: bool) -> None:
    convert(Mean().eval(), folder, 16)
    images = torch.randint(256, (3, 3, 16, 16), dtype=torch.uint8)
    networks = [TileCompute(folder / "network.xml", precision="32", threads=1) for _ in range(2)]
    for network in networks:
        torch.testing.assert_close(network(images), images.float().mean((2, 3)))
    del network
    if in_thread:
        thread = threading.Thread(target=networks.clear)
        thread.start()
        thread.join()
    while networks:
        del networks[0]  # the first is the first to end, too
    with raise_on_sigterm(), pytest.raises(Interrupted):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.usefixtures("openvino")
@pytest.mark.parametrize("where", ["here", "thread"])
def test_a_signal_is_handled_after_networks_ended(
    where: str, apart: Callable[..., None], tmp_path: Path
) -> None:
    apart(be_stopped_after_networks_ended, tmp_path, in_thread=where == "thread")
