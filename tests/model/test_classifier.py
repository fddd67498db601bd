from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from crack_lightning.model.classifier import CrackClassifier


@pytest.mark.parametrize("rank", [0, 1])
def test_of_several_processes_the_first_alone_takes_up_what_all_have_counted(
    rank: int, build_classifier: Callable[..., CrackClassifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = {
        "image": torch.zeros(4, 3, 32, 32, dtype=torch.uint8),
        "target": torch.tensor([0, 1, 1, 1]),
        "index": torch.arange(4),
    }
    broken, resumed = (build_classifier(image_size=32) for _ in range(2))
    broken._step(batch, "train")
    checkpoint: dict[str, object] = {}
    broken.on_save_checkpoint(checkpoint)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
    resumed.on_load_checkpoint(checkpoint)
    assert int(resumed._figures("train").mean_loss.weight) == (4 if rank == 0 else 0)
