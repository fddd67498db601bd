"""Registry of optimizers: one entry each, read by configuration and builder; torch is imported to build."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch.optim import Optimizer

    Groups = Sequence[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class OptimizerEntry:
    """An optimizer.

    Attributes:
        build: Builds it from parameter groups; the settings in ``reads``, and ``fused``, are keywords.
        reads: Keys of the node ``optimizer`` that it reads besides ``name``, ``lr`` and ``weight_decay``.
        is_fusible: Whether torch has a fused kernel; only then ``build`` takes ``fused``.
    """

    build: Callable[..., Optimizer]
    reads: tuple[str, ...] = ()
    is_fusible: bool = True


def _adamw(groups: Groups, *, fused: bool) -> Optimizer:
    from torch.optim import AdamW

    return AdamW(groups, fused=fused)


def _adam(groups: Groups, *, fused: bool) -> Optimizer:
    from torch.optim import Adam

    return Adam(groups, fused=fused)


def _sgd(groups: Groups, *, fused: bool, momentum: float) -> Optimizer:
    from torch.optim import SGD

    return SGD(groups, momentum=momentum, nesterov=momentum > 0, fused=fused)


def _rmsprop(groups: Groups, *, momentum: float) -> Optimizer:
    from torch.optim import RMSprop

    return RMSprop(groups, momentum=momentum)


OPTIMIZERS = {
    "adamw": OptimizerEntry(build=_adamw),
    "adam": OptimizerEntry(build=_adam),
    "sgd": OptimizerEntry(build=_sgd, reads=("momentum",)),
    "rmsprop": OptimizerEntry(build=_rmsprop, reads=("momentum",), is_fusible=False),
}


def optimizers_reading(key: str) -> list[str]:
    """Return the names of the optimizers that read a key of the node ``optimizer``."""
    return [name for name, entry in OPTIMIZERS.items() if key in entry.reads]
