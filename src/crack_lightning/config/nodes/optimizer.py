"""The nodes ``optimizer`` and ``scheduler``."""

from __future__ import annotations

from dataclasses import dataclass

from crack_lightning.model.optimizers import OPTIMIZERS, optimizers_reading
from crack_lightning.model.schedulers import SCHEDULERS
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.settings import check_settings, setting

_WITH_MOMENTUM = " and ".join(f"`{name}`" for name in optimizers_reading("momentum"))


@dataclass
class OptimizerConfig:
    """The optimizer."""

    name: str = setting(
        "adamw",
        "Optimizer; `sgd` has Nesterov momentum.",
        choices=tuple(OPTIMIZERS),
    )
    lr: float | None = setting(
        None,
        "Peak learning rate of the head, and with `recipe=scratch` of all weights. `null` is "
        "`model.scratch_lr` from scratch, 0.0003 with `recipe=probe_then_finetune`, and 0.003 for other "
        "pretrained weights.",
        low=0,
        high=1000,
    )
    weight_decay: float = setting(0.05, "Weight decay; biases and normalisation have none.", low=0, high=1000)
    momentum: float | None = setting(
        None, f"Momentum of {_WITH_MOMENTUM}; `null` is 0.9.", low=0, high=0.9999
    )

    def __post_init__(self) -> None:
        check_settings(self, "optimizer")
        if self.lr == 0:
            raise ConfigError("optimizer.lr: expected a number above 0, got 0; set optimizer.lr=1e-3.")
        if self.momentum is not None and "momentum" not in OPTIMIZERS[self.name].reads:
            raise ConfigError(
                f"optimizer.momentum: {self.name} does not read it, got {self.momentum}; "
                "use optimizer=sgd, or leave it out."
            )


@dataclass
class SchedulerConfig:
    """The learning-rate schedule."""

    name: str = setting(
        "one_cycle",
        ", ".join(f"`{name}` {schedule.meaning}" for name, schedule in SCHEDULERS.items()) + ".",
        choices=tuple(SCHEDULERS),
    )
    warmup_fraction: float = setting(0.2, "Share of all steps with a rising rate.", low=0, high=0.9)

    def __post_init__(self) -> None:
        check_settings(self, "scheduler")
