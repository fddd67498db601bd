from __future__ import annotations

from functools import partial
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


@pytest.mark.parametrize("head", ["pooled", "local"])
def test_compiled_answers_and_their_gradients_are_the_plain_ones(
    head: str, build_classifier: Callable[..., CrackClassifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    # traced as ever, but run by torch itself: to compile for a processor takes half a minute
    traced = partial(torch.compile, backend="aot_eager")
    monkeypatch.setattr(torch, "compile", traced)
    images = torch.randint(256, (4, 3, 64, 64), dtype=torch.uint8)
    batch = {"image": images, "target": torch.tensor([0, 1, 1, 1]), "index": torch.arange(4)}
    if head == "local":
        batch |= {"mask": images[:, :1], "mask_known": torch.tensor([True, True, False, True])}
    plain, compiled = (build_classifier(name="resnet18", head=head, image_size=64) for _ in range(2))
    compiled.load_state_dict(plain.state_dict())
    compiled.compile_answers()
    gradients = []
    for classifier in (plain, compiled):
        loss = classifier._step(batch, "train")
        loss.backward()  # type: ignore[no-untyped-call]
        gradients.append([loss.detach(), *(p.grad for p in classifier.parameters())])
    torch.testing.assert_close(gradients[0], gradients[1])
    assert compiled.state_dict().keys() == plain.state_dict().keys()
