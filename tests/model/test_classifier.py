from __future__ import annotations

import warnings
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.plugins.precision import MixedPrecision, Precision

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
    compiled.compile_step()
    gradients = []
    for classifier in (plain, compiled):
        loss = classifier._step(batch, "train")
        loss.backward()  # type: ignore[no-untyped-call]
        gradients.append([loss.detach(), *(p.grad for p in classifier.parameters())])
    torch.testing.assert_close(gradients[0], gradients[1])
    assert compiled.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "rmsprop"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_gradients_are_clipped_in_every_precision_by_every_optimizer(
    name: str, precision: str, clip: float | None, build_classifier: Callable[..., CrackClassifier]
) -> None:
    classifier = build_classifier(optimizer={"name": name, "lr": 1e-3})
    plan = SimpleNamespace(precision=precision, gradient_clip_val=clip, estimated_stepping_batches=3)
    classifier._trainer = plan  # type: ignore[assignment]
    optimizer = classifier.configure_optimizers()["optimizer"]
    for parameter in classifier.parameters():
        parameter.grad = torch.ones_like(parameter)
    _plugin(precision).clip_gradients(optimizer, clip_val=clip or 0.0)  # Lightning's, and raises if fused
    gradients = torch.cat([p.grad.flatten() for p in classifier.parameters() if p.grad is not None])
    assert float(gradients.norm()) == pytest.approx(clip or len(gradients) ** 0.5, rel=1e-3)
    mixed = precision != "32-true"
    assert bool(optimizer.defaults.get("fused")) == (name != "rmsprop" and not (clip and mixed))


def _plugin(precision: str) -> Precision:
    if precision == "32-true":
        return Precision()
    scaler = torch.amp.GradScaler("cpu") if precision == "16-mixed" else None
    return MixedPrecision(cast("Any", precision), "cpu", scaler)


def test_a_clipped_step_is_taken_in_mixed_precision(build_classifier: Callable[..., CrackClassifier]) -> None:
    classifier = build_classifier(image_size=32)
    before = [parameter.detach().clone() for parameter in classifier.parameters()]
    batch = {
        "image": torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8),
        "target": torch.tensor([0, 1, 1, 0]),
        "index": torch.arange(4),
    }
    trainer = Trainer(
        accelerator="cpu",
        precision="bf16-mixed",
        gradient_clip_val=1.0,
        max_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's, of a loader without workers and of no validation
        trainer.fit(classifier, torch.utils.data.DataLoader([batch], batch_size=None))  # type: ignore[arg-type]
    assert any(not torch.equal(old, new) for old, new in zip(before, classifier.parameters(), strict=True))
