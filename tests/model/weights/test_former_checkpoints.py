"""A checkpoint that commit 4c954c2 wrote: ``train data=synthetic trainer=smoke model.head=local``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crack_lightning import load
from crack_lightning.model.weights.checkpoints import load_classifier, load_trained

FORMER = Path(__file__).with_name("before_field_names.ckpt")


def picture() -> np.ndarray:
    rows, columns = np.mgrid[:64, :64]
    grey = 150 + 20 * np.sin(rows / 3) * np.cos(columns / 5) + (rows * 7 + columns * 13) % 11
    grey[np.abs(rows - columns // 2 - 16) < 2] = 40
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


def test_a_former_checkpoint_predicts_what_it_did() -> None:
    answers = load(FORMER).predict([picture()])
    assert answers.labels == ["intact"]
    np.testing.assert_allclose(answers.probabilities, [[0.62466049, 0.37533957]], atol=1e-5)
    np.testing.assert_allclose(answers.ood_score, [1.1664859], rtol=1e-4)
    assert answers.is_ood.tolist() == [True]


def test_the_classifier_and_the_inference_model_of_a_former_checkpoint_are_one() -> None:
    classifier, model = load_classifier(FORMER), load_trained(FORMER)
    for name, value in model.state_dict().items():
        assert torch.equal(classifier.state_dict()[name], value)
    assert classifier.ood_detector is not None
    assert model.ood_detector is not None
    assert len(classifier.train_fingerprints) == 340
    assert classifier.ood_detector.limit == pytest.approx(model.ood_detector.limit)


@pytest.mark.parametrize("load", [load_classifier, load_trained])
def test_a_former_name_of_a_hyper_parameter_is_read(load: Any, tmp_path: Path) -> None:
    checkpoint = torch.load(FORMER, weights_only=True)
    checkpoint["hyper_parameters"]["strongest_cells"] = 0.2
    torch.save(checkpoint, tmp_path / "former.ckpt")
    model = load(tmp_path / "former.ckpt")
    assert model.backbone.top_k_fraction == 0.2
    assert model.hparams["top_k_fraction"] == 0.2
    assert "strongest_cells" not in model.hparams
