from __future__ import annotations

import numpy as np

from crack_lightning.data.sampling import TrainBatches


def batches(
    *,
    steps_done: int = 0,
    balanced: bool = False,
    seed: int = 0,
    limit: int | None = None,
    size: int = 8,
    rank: int = 0,
    num_ranks: int = 1,
) -> TrainBatches:
    labels = np.array([0] * 30 + [1] * 5)
    return TrainBatches(
        np.arange(100, 135),
        strata=labels if balanced else np.zeros(35, np.int64),
        batch_size=size,
        seed=seed,
        max_batches=limit,
        steps_done=lambda: steps_done,
        rank=rank,
        num_ranks=num_ranks,
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


def test_processes_deal_the_batches_of_one_out_among_them() -> None:
    shares = [list(batches(rank=rank, num_ranks=4, steps_done=1)) for rank in range(4)]
    assert {len(rows) for share in shares for rows in share} == {2}
    for whole, *parts in zip(batches(steps_done=1), *shares, strict=True):
        assert sorted(whole) == sorted(row for part in parts for row in part)


def test_an_only_short_batch_is_dealt_out_in_equal_shares() -> None:
    [[*ours], [*theirs]] = [next(iter(batches(size=50, rank=rank, num_ranks=2))) for rank in range(2)]
    assert (len(ours), len(theirs)) == (17, 17)
    assert not set(ours) & set(theirs)
