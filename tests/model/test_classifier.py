from __future__ import annotations

import pytest
import torch

from crack_lightning.model.classifier import CrackClassifier


def classifier() -> CrackClassifier:
    return CrackClassifier(
        name="plain_cnn",
        class_names=["intact", "crack"],
        positive_class="crack",
        image_size=32,
        mean=[0.5] * 3,
        std=[0.5] * 3,
        drop_rate=0.0,
        drop_path_rate=0.0,
        recipe="scratch",
        backbone_lr_scale=1.0,
        stage_lr_scale=1.0,
        all_stages_by=1.0,
        loss={"name": "cross_entropy"},
        optimizer={},
        scheduler={},
    )


@pytest.mark.parametrize("rank", [0, 1])
def test_of_several_processes_the_first_alone_takes_up_what_all_have_counted(
    rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = {
        "image": torch.zeros(4, 3, 32, 32, dtype=torch.uint8),
        "target": torch.tensor([0, 1, 1, 1]),
        "index": torch.arange(4),
    }
    broken, resumed = classifier(), classifier()
    broken._step(batch, "train")
    checkpoint: dict[str, object] = {}
    broken.on_save_checkpoint(checkpoint)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
    resumed.on_load_checkpoint(checkpoint)
    assert int(resumed._mean_loss("train").weight) == (4 if rank == 0 else 0)
