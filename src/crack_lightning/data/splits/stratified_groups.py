"""Stratified group split: groups stay whole, classes keep their proportions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CLOSE_ENOUGH = 0.002
_MAX_ROUNDS = 50


def assign_splits(
    path: NDArray[np.str_],
    label: NDArray[np.int64],
    group: NDArray[np.str_],
    *,
    seed: int,
    shares: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Assign each of N tiles to a split.

    Groups are assigned greedily in a random order, each to the split whose class counts come nearest to the
    target; a local search then moves, and if needed swaps, groups while that reduces the cost, the squared
    difference in tiles over the target, summed over splits and classes. Single tiles fill the rest. Every
    split gets every class that has enough groups and single tiles for that. The random order is a hash of
    ``seed`` and the name of the group or tile, independent of the order of rows and of library versions.

    Args:
        path: Names of the tiles, all different, str ``(N,)``.
        label: Class indices in ``[0, K)``, int64 ``(N,)``.
        group: Names of the groups, str ``(N,)``; an empty name is no group.
        seed: Any integer.
        shares: Shares of the S splits, with the sum 1, float ``(S,)``.

    Returns:
        Split of each tile in ``[0, S)``, int64 ``(N,)``.
    """
    num_classes = int(label.max(initial=0)) + 1
    target = shares[:, None] * np.bincount(label, minlength=num_classes)
    names, member_of, sizes = np.unique(group, return_inverse=True, return_counts=True)
    whole = (names != "") & (sizes > 1)
    grouped = whole[member_of]
    counts = np.zeros((len(names), num_classes))
    np.add.at(counts, (member_of, label), 1)
    groups = _Groups.assign(
        counts[whole],
        target,
        order=_hash_order(names[whole], seed),
        singles=np.bincount(label[~grouped], minlength=num_classes),
    )
    chosen = np.full(len(path), -1, dtype=np.int64)
    chosen[grouped] = groups.split[(np.cumsum(whole) - 1)[member_of[grouped]]]
    singles = _hash_order(path, seed)
    singles = singles[~grouped[singles]]
    for index in range(num_classes):
        tiles = singles[label[singles] == index]
        amounts = round_shares(np.maximum(target - groups.filled, 0)[:, index], len(tiles))
        amounts = one_each(amounts, already=groups.filled[:, index])
        chosen[tiles] = np.repeat(np.arange(len(amounts)), amounts)
    return chosen


def round_shares(amounts: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """Scale amounts ``(S,)`` to whole numbers of the given sum, the largest remainders up.

    Examples:
        >>> round_shares(np.array([0.7, 0.15, 0.15]), 10).tolist()
        [7, 2, 1]
    """
    exact = amounts * (total / max(float(amounts.sum()), 1e-12))
    whole = np.floor(exact + 1e-9)
    largest = np.argsort(whole - exact, kind="stable")
    whole[largest[: total - int(whole.sum())]] += 1
    return np.asarray(whole, np.int64)


def one_each(amounts: NDArray[np.int64], *, already: NDArray[np.float64]) -> NDArray[np.int64]:
    """Move single tiles from splits that can spare one to splits that would have none, int64 ``(S,)``.

    Args:
        amounts: Tiles of one class to add to each split, int64 ``(S,)``.
        already: Tiles of that class in each split, float ``(S,)``.

    Examples:
        >>> one_each(np.array([2, 1, 0]), already=np.zeros(3)).tolist()
        [1, 1, 1]
    """
    amounts = amounts.copy()
    for split in np.flatnonzero(amounts + already == 0):
        spare = np.where(amounts > 0, amounts + already, 0)
        if spare.max() > 1:
            amounts[spare.argmax()] -= 1
            amounts[split] += 1
    return amounts


def _hash_order(names: NDArray[np.str_], seed: int) -> NDArray[np.int64]:
    keys = [f"{seed}\0{name}".encode("utf-8", "surrogatepass") for name in names.tolist()]
    digests = [hashlib.sha256(key).digest() for key in keys]
    return np.array(sorted(range(len(digests)), key=digests.__getitem__), dtype=np.int64)


@dataclass
class _Groups:
    """The assignment of G groups to S splits.

    Attributes:
        counts: Tiles by group and class, ``(G, K)``.
        target: Target number of tiles by split and class, ``(S, K)``.
        filled: Assigned tiles by split and class, ``(S, K)``.
        split: Split of each group, int64 ``(G,)``.
    """

    counts: NDArray[np.float64]
    target: NDArray[np.float64]
    filled: NDArray[np.float64]
    split: NDArray[np.int64]

    @classmethod
    def assign(
        cls,
        counts: NDArray[np.float64],
        target: NDArray[np.float64],
        *,
        order: NDArray[np.int64],
        singles: NDArray[np.int64],
    ) -> _Groups:
        """Assign all groups in the given order, then improve the assignment by local search."""
        # single tiles fill the rest, so that groups fill a split only up to their own share
        share = counts.sum(0) / np.maximum(target.sum(0), 1)
        self = cls(counts, target * share, np.zeros_like(target), np.zeros(len(counts), dtype=np.int64))
        for group in order:
            self._put(group, self._best_split(group))
        for step in (self._move, self._move_or_swap):
            for _ in range(_MAX_ROUNDS):
                if self._is_close() or sum(step(group) for group in order) == 0:
                    break
        self._fill_empty(singles)
        return self

    def _fill_empty(self, singles: NDArray[np.int64]) -> None:
        """Move a group into each split that lacks a class, unless single tiles ``(K,)`` suffice."""
        for index in range(self.counts.shape[1]):
            empty = np.flatnonzero(self.filled[:, index] == 0)
            for split in empty[: max(0, len(empty) - int(singles[index]))]:
                left = self.filled[self.split] - self.counts
                parts = ((left == 0) & (self.counts > 0)).any(axis=1)  # would leave a split without a class
                movable = np.flatnonzero((self.counts[:, index] > 0) & ~parts)
                if len(movable):
                    there = np.full(len(movable), split)
                    cost = self._cost(there, self.counts[movable])
                    cost += self._cost(self.split[movable], -self.counts[movable])
                    group = int(movable[cost.argmin()])
                    self.filled[self.split[group]] -= self.counts[group]
                    self._put(group, int(split))

    def _is_close(self) -> bool:
        return bool((np.abs(self.filled - self.target) <= _CLOSE_ENOUGH * self.target.sum(0) + 0.5).all())

    def _put(self, group: int, split: int) -> None:
        self.split[group] = split
        self.filled[split] += self.counts[group]

    def _cost(self, split: NDArray[np.int64] | slice, change: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the change of the cost when splits ``(M,)`` change by ``change`` tiles ``(M, K)``."""
        surplus = self.filled[split] - self.target[split]
        cost = (2 * surplus + change) * change / np.maximum(self.target[split], 1)
        return np.asarray(cost.sum(-1))

    def _best_split(self, group: int) -> int:
        return int(self._cost(slice(None), self.counts[group]).argmin())

    def _move(self, group: int) -> bool:
        """Move a group to the split of least cost; return whether it moved."""
        old = int(self.split[group])
        self.filled[old] -= self.counts[group]
        self._put(group, self._best_split(group))
        return bool(self.split[group] != old)

    def _move_or_swap(self, group: int) -> bool:
        """Move a group, or swap it with the best other group; return whether the assignment changed."""
        if self._move(group):
            return True
        here = np.full(len(self.counts), self.split[group])
        change = self.counts - self.counts[group]
        cost = self._cost(here, change) + self._cost(self.split, -change)
        cost[self.split == here] = 0
        other = int(cost.argmin())
        if cost[other] > -1e-9:
            return False
        there = int(self.split[other])
        self.filled[here[0]] += change[other]
        self.filled[there] -= change[other]
        self.split[group], self.split[other] = there, here[0]
        return True
