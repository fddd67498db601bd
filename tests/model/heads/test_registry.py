"""Each entry of the registry of heads is true of its head."""

from __future__ import annotations

import pytest
import torch

from crack_lightning.model.heads.registry import HEADS, build_network, network_bytes

NAME = "resnet10t"


@pytest.mark.parametrize("head", HEADS)
def test_a_network_with_any_head_gives_logits_and_a_loss_for_masks_where_it_needs_them(head: str) -> None:
    loaded, entry = HEADS[head].load(), HEADS[head]
    network = build_network(
        NAME,
        head=head,
        positive_index=1,
        settings={},
        num_classes=2,
        drop_rate=0.0,
        drop_path_rate=0.0,
        image_size=64,
    ).eval()
    images, masks, known = torch.randn(2, 3, 64, 64), torch.ones(2, 1, 64, 64), torch.tensor([True, True])
    logits, loss = loaded.training_outputs(network, images, masks, known)
    assert logits.shape == (2, 2)
    assert (loss is not None) == entry.needs_masks
    torch.testing.assert_close(loaded.logits(network, images), logits)
    assert loaded.training_outputs(network, images, None, None)[1] is None
    assert loaded.supports(NAME)
    assert loaded.supports("plain_cnn") == (not entry.strides)
    kept = loaded.pretrained_module(network).state_dict().keys()
    assert all(any(name.endswith(key) for name in network.state_dict()) for key in kept)


@pytest.mark.parametrize("head", [name for name, entry in HEADS.items() if entry.any_size])
def test_a_head_for_any_size_scores_cells_or_tiles_of_another_size(head: str) -> None:
    loaded = HEADS[head].load()
    options = {"num_classes": 2, "drop_rate": 0.0, "drop_path_rate": 0.0, "image_size": 64}
    network = loaded.build(NAME, positive_index=1, settings={}, **options).eval()
    assert loaded.logits(network, torch.randn(1, 3, 96, 128)).shape == (1, 2)
    scorer = loaded.cell_scorer(network)
    assert scorer is not None
    assert scorer.cells(torch.randn(1, 3, 96, 128)).shape == (1, 1, 12, 16)


def test_the_size_of_an_undecided_head_is_that_of_the_default_one() -> None:
    sizes = [network_bytes(NAME, head=head, image_size=64) for head in ("auto", "pooled", "local")]
    assert sizes[0] == sizes[1] != sizes[2]
