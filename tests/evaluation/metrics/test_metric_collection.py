from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from crack_lightning.evaluation.metrics.metric_collection import build_metrics
from crack_lightning.evaluation.metrics.registry import METRICS

if TYPE_CHECKING:
    import numpy as np


def drawn_batches(num_classes: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    return [
        (
            torch.randn(size, num_classes, generator=generator),
            torch.randint(num_classes, (size,), generator=generator),
        )
        for size in (32, 32, 7)
    ]


def pooled(batches: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[np.ndarray, np.ndarray]:
    logits, targets = (torch.cat(parts).numpy() for parts in zip(*batches, strict=True))
    return targets, logits.argmax(axis=1)


@pytest.mark.parametrize(
    ("num_classes", "positive_class"),
    [(2, "crack"), (2, "intact"), (2, None), (3, None), (3, "crack"), (5, "crack")],
)
def test_metrics_equal_scikit_learns_over_all_batches(num_classes: int, positive_class: str | None) -> None:
    names = ["crack", "intact", "spall", "rust", "joint"][:num_classes]
    metrics = build_metrics(
        num_classes=num_classes, class_names=names, positive_class=positive_class, prefix="test/"
    )
    batches = drawn_batches(num_classes)
    for batch in batches:
        metrics.update(*batch)
    truth, called = pooled(batches)
    name: str = "macro"
    how: dict[str, Any] = {"average": "macro"}
    if num_classes == 2 and positive_class is not None:
        name, how = positive_class, {"pos_label": names.index(positive_class)}
    expected = {
        "test/accuracy": accuracy_score(truth, called),
        f"test/recall_{name}": recall_score(truth, called, **how),
        f"test/precision_{name}": precision_score(truth, called, **how),
        f"test/f1_{name}": f1_score(truth, called, **how),
    }
    assert {key: value.item() for key, value in metrics.compute().items()} == pytest.approx(expected)


def test_the_precision_of_a_class_that_is_never_predicted_is_zero() -> None:
    metrics = build_metrics(num_classes=2, class_names=["crack", "intact"], positive_class="crack", prefix="")
    metrics.update(torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.tensor([1, 1]))
    values = {key: value.item() for key, value in metrics.compute().items()}
    assert values == {"accuracy": 1.0, "recall_crack": 0.0, "precision_crack": 0.0, "f1_crack": 0.0}


def test_probabilities_give_what_their_logits_give() -> None:
    for_logits, for_probabilities = (
        build_metrics(num_classes=3, class_names=["a", "b", "c"], positive_class=None, prefix="")
        for _ in range(2)
    )
    for logits, targets in drawn_batches(3):
        for_logits.update(logits, targets)
        for_probabilities.update(logits.softmax(dim=1), targets)
    assert for_logits.compute() == for_probabilities.compute()


def test_all_metrics_share_one_state_that_a_reset_empties() -> None:
    metrics = build_metrics(
        num_classes=2, class_names=["crack", "intact"], positive_class="crack", prefix="val/"
    )
    assert [set(group) for group in metrics.compute_groups.values()] == [
        {"accuracy", "recall_crack", "precision_crack", "f1_crack"}
    ]
    first, second, _ = drawn_batches(2)
    metrics.update(*first)
    metrics.compute()
    metrics.reset()
    metrics.update(*second)
    truth, called = pooled([second])
    assert metrics.compute()["val/accuracy"].item() == pytest.approx(accuracy_score(truth, called))


def test_clones_of_a_collection_count_apart_and_survive_pickling() -> None:
    metrics = build_metrics(
        num_classes=2, class_names=["crack", "intact"], positive_class="crack", prefix="train/"
    )
    other = pickle.loads(pickle.dumps(metrics.clone(prefix="val/")))  # noqa: S301
    right = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    wrong = torch.tensor([[0.0, 1.0]]), torch.tensor([0])
    metrics.update(*right)
    other.update(*wrong)
    assert metrics.compute()["train/accuracy"].item() == 1.0
    assert other.compute()["val/accuracy"].item() == 0.0


def test_a_class_name_with_a_dot_is_a_valid_key() -> None:
    metrics = build_metrics(num_classes=2, class_names=["v1.2", "ok"], positive_class="v1.2", prefix="val/")
    metrics.update(torch.tensor([[1.0, 0.0]]), torch.tensor([0]))
    assert metrics.compute()["val/recall_v1_2"].item() == 1.0


@pytest.mark.parametrize("num_classes", [2, 3])
def test_a_metric_of_the_positive_class_is_logged_for_two_classes_only(
    monkeypatch: pytest.MonkeyPatch, num_classes: int
) -> None:
    monkeypatch.setitem(METRICS, "specificity", replace(METRICS["specificity"], in_training=True))  # type: ignore[call-arg]
    metrics = build_metrics(
        num_classes=num_classes,
        class_names=["intact", "crack", "spall"][:num_classes],
        positive_class="crack",
        prefix="val/",
    )
    assert ("val/specificity" in metrics.keys()) == (num_classes == 2)  # noqa: SIM118
