"""The batch sampler: an order from (seed, epoch) alone that resumes at any step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch.utils.data import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray


class TrainBatches(Sampler[list[int]]):
    """Batches of rows for one epoch, beginning at the run's current step.

    So a resumed run continues with the batch after its last step. An incomplete last batch is dropped,
    unless it is the only one.

    Args:
        rows: Rows of the training tiles, int64 ``(N,)``.
        strata: Stratum of each row, int64 ``(N,)``. Several strata are sampled equally, N rows in all, with
            repetition in small ones; with a single stratum every row occurs once an epoch.
        batch_size: Rows a batch.
        seed: With the epoch, seeds the order.
        max_batches: Largest number of batches an epoch.
        steps_done: Returns the number of steps that the run has done; called at the start of an iteration.
        rank: Rank of this process, from 0.
        num_ranks: World size. Each rank gets equally many rows of a batch; the remainder of a batch that is
            the only one is dropped.
    """

    def __init__(
        self,
        rows: NDArray[np.int64],
        *,
        strata: NDArray[np.int64],
        batch_size: int,
        seed: int,
        max_batches: int | None,
        steps_done: Callable[[], int],
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        self.rows, self.strata = rows, strata
        self.batch_size, self.seed = batch_size, seed
        self.steps_done = steps_done
        self.rank, self.num_ranks = rank, num_ranks
        whole = max(1, len(rows) // batch_size)
        self.num_batches = whole if max_batches is None else min(whole, max_batches)

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[list[int]]:
        epoch, first = divmod(self.steps_done(), self.num_batches)
        order = self.order(epoch)
        for batch in range(first, self.num_batches):
            rows = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield rows[self.rank :: self.num_ranks][: len(rows) // self.num_ranks].tolist()

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return the rows of an epoch in order, int64 ``(N,)``."""
        rng = np.random.default_rng([self.seed, epoch])
        numbers = np.unique(self.strata)
        if len(numbers) < 2:
            return rng.permutation(self.rows)
        share = -(-len(self.rows) // len(numbers))
        drawn = [_cycled(rng, self.rows[self.strata == number], share) for number in numbers]
        return rng.permutation(np.concatenate(drawn))[: len(self.rows)]


def _cycled(rng: np.random.Generator, rows: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    rounds = -(-number // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(rounds)])[:number]
