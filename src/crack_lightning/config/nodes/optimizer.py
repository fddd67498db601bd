"""The nodes ``optimizer`` and ``scheduler``."""

from __future__ import annotations

from dataclasses import dataclass

from crack_lightning.config.validators import require_choice, require_range
from crack_lightning.runtime.errors import ConfigError


@dataclass
class OptimizerConfig:
    """The optimizer.

    Attributes:
        name: ``adamw``, ``adam``, ``sgd`` (with Nesterov's momentum) or ``rmsprop``.
        lr: Peak learning rate of the head, and with ``recipe=scratch`` of all weights. ``None`` is
            ``model.scratch_lr`` from scratch, and 0.003 for pretrained weights.
        weight_decay: Weight decay; biases and normalisation have none.
        momentum: ``sgd`` and ``rmsprop`` only; ``None`` is 0.9.
    """

    name: str = "adamw"
    lr: float | None = None
    weight_decay: float = 0.05
    momentum: float | None = None

    def __post_init__(self) -> None:
        require_choice("optimizer.name", self.name, ("adamw", "adam", "sgd", "rmsprop"))
        if self.lr is not None:
            require_range("optimizer.lr", self.lr, low=0, high=1e3)
        require_range("optimizer.weight_decay", self.weight_decay, low=0, high=1e3)
        if self.lr == 0:
            raise ConfigError("optimizer.lr: expected a number above 0, got 0; set optimizer.lr=1e-3.")
        if self.momentum is None:
            return
        require_range("optimizer.momentum", self.momentum, low=0, high=0.9999)
        if self.name in ("adamw", "adam"):
            raise ConfigError(
                f"optimizer.momentum: {self.name} does not read it, got {self.momentum}; "
                "use optimizer=sgd, or leave it out."
            )


@dataclass
class SchedulerConfig:
    """The learning-rate schedule.

    Attributes:
        name: ``one_cycle`` (up and down along half cosines), ``cosine`` (down along one), ``constant``, or
            ``step`` (a tenth at half and again at three quarters of the training).
        warmup_fraction: Share of all steps with a rising rate.
    """

    name: str = "one_cycle"
    warmup_fraction: float = 0.2

    def __post_init__(self) -> None:
        require_choice("scheduler.name", self.name, ("one_cycle", "cosine", "constant", "step"))
        require_range("scheduler.warmup_fraction", self.warmup_fraction, low=0, high=0.9)
