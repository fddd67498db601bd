from __future__ import annotations

import numpy as np

from crack_lightning.data.sampling import TrainBatches


def batches(
    *, steps_done: int = 0, balanced: bool = False, seed: int = 0, limit: int | None = None
) -> TrainBatches:
    labels = np.array([0] * 30 + [1] * 5)
    return TrainBatches(
        np.arange(100, 135),
        strata=labels if balanced else np.zeros(35, np.int64),
        batch_size=8,
        seed=seed,
        max_batches=limit,
        steps_done=lambda: steps_done,
    )


def test_an_epoch_takes_every_row_at_most_once() -> None:
    rows = [row for batch in batches() for row in batch]
    assert len(rows) == len(set(rows)) == 32
    assert len(batches()) == 4


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    assert list(batches()) == list(batches())
    assert list(batches()) != list(batches(seed=1))
    assert list(batches()) != list(batches(steps_done=4))


def test_a_resumed_epoch_goes_on_after_its_last_step() -> None:
    assert list(batches(steps_done=6)) == list(batches(steps_done=4))[2:]


def test_every_stratum_is_drawn_equally_often() -> None:
    order = batches(balanced=True).order(0)
    assert len(order) == 35
    assert abs((order >= 130).sum() - 17.5) <= 1


def test_a_limit_shortens_the_epoch() -> None:
    assert len(list(batches(limit=2))) == len(batches(limit=2)) == 2
    assert list(batches(limit=2, steps_done=2)) == list(batches(steps_done=4))[:2]
