"""Learning-rate schedules: a registry with one entry each, read by configuration and builder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR


def _linear_rise(step: int, warmup: int) -> float:
    return (step + 1) / (warmup + 1)


def _cosine_rise(step: int, warmup: int) -> float:
    return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * step / warmup)) / 2


def _half_cosine(progress: float) -> float:
    return (1 + math.cos(math.pi * progress)) / 2


def _two_steps(progress: float) -> float:
    return 0.01 if progress >= 0.75 else 0.1 if progress >= 0.5 else 1.0


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A learning-rate schedule; rates are shares of the peak rate.

    Attributes:
        meaning: One phrase for the help of ``scheduler.name``.
        decay: Returns the rate after warm-up, from the progress in ``[0, 1]``.
        rise: Returns the rate during warm-up, from the step and the number of warm-up steps.
        counts_warmup: Whether progress includes the warm-up steps.
    """

    meaning: str
    decay: Callable[[float], float]
    rise: Callable[[int, int], float] = _linear_rise
    counts_warmup: bool = False


SCHEDULERS = {
    "one_cycle": Schedule(
        meaning="rises from 1/25 and falls to 0 along half cosines", decay=_half_cosine, rise=_cosine_rise
    ),
    "cosine": Schedule(meaning="falls along a half cosine", decay=_half_cosine),
    "constant": Schedule(meaning="stays", decay=lambda _: 1.0),
    "step": Schedule(
        meaning="is a tenth at half and again at three quarters of the training",
        decay=_two_steps,
        counts_warmup=True,
    ),
}


def lr_factor(step: int, *, name: str, total_steps: int, warmup_fraction: float) -> float:
    """Return the learning rate of a step as a share of its peak, in ``(0, 1]`` until the last step.

    ``one_cycle`` rises along a half cosine during warm-up, all others linearly.

    Args:
        step: Optimizer steps done, ``>= 0``; beyond ``total_steps`` the last value holds.
        name: A name in ``SCHEDULERS``.
        total_steps: Steps of the whole training.
        warmup_fraction: Share of them in which the rate rises.

    References:
        Smith and Topin, "Super-Convergence", 2018 (one cycle); Loshchilov and Hutter, "SGDR", ICLR 2017
        (cosine); He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (steps).

    Examples:
        >>> [lr_factor(step, name="step", total_steps=4, warmup_fraction=0.0) for step in range(5)]
        [1.0, 1.0, 0.1, 0.01, 0.01]
    """
    schedule, warmup = SCHEDULERS[name], round(warmup_fraction * total_steps)
    if step < warmup:
        return schedule.rise(step, warmup)
    skipped = 0 if schedule.counts_warmup else warmup
    return schedule.decay(min((step - skipped) / max(total_steps - skipped, 1), 1.0))


def build_scheduler(
    optimizer: Optimizer, *, name: str, total_steps: int, warmup_fraction: float = 0.0
) -> LambdaLR:
    """Build a schedule that is stepped after every optimizer step.

    Each rate is a closed form of the step number, so that a resumed run has the same rates, even if
    ``total_steps`` has changed.

    Args:
        optimizer: Its present learning rates are the peak rates.
        name: A name in ``SCHEDULERS``.
        total_steps: Optimizer steps of the whole training, ``>= 1``.
        warmup_fraction: Share of the steps in which the rate rises, in ``[0, 1)``.

    Raises:
        ConfigError: If the name is unknown.
    """
    from torch.optim.lr_scheduler import LambdaLR

    if name not in SCHEDULERS:
        raise ConfigError(
            f"scheduler.name: one of {', '.join(SCHEDULERS)} is expected, got '{name}'; set one of them."
        )
    assert total_steps >= 1, f"total_steps: {total_steps}"

    def factor(step: int) -> float:
        return lr_factor(step, name=name, total_steps=total_steps, warmup_fraction=warmup_fraction)

    return LambdaLR(optimizer, factor)
