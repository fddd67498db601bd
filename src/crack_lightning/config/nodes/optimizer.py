"""The nodes ``optimizer`` and ``scheduler``."""

from __future__ import annotations

from dataclasses import dataclass

from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.settings import check_settings, setting


@dataclass
class OptimizerConfig:
    """The optimizer."""

    name: str = setting(
        "adamw",
        "Optimizer; `sgd` has Nesterov momentum.",
        choices=("adamw", "adam", "sgd", "rmsprop"),
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
        None, "Momentum of `sgd` and `rmsprop`; `null` is 0.9.", low=0, high=0.9999
    )

    def __post_init__(self) -> None:
        check_settings(self, "optimizer")
        if self.lr == 0:
            raise ConfigError("optimizer.lr: expected a number above 0, got 0; set optimizer.lr=1e-3.")
        if self.momentum is not None and self.name in ("adamw", "adam"):
            raise ConfigError(
                f"optimizer.momentum: {self.name} does not read it, got {self.momentum}; "
                "use optimizer=sgd, or leave it out."
            )


@dataclass
class SchedulerConfig:
    """The learning-rate schedule."""

    name: str = setting(
        "one_cycle",
        "`one_cycle` rises and falls along half cosines, `cosine` falls along one, `constant` stays, `step` "
        "is a tenth at half and again at three quarters of the training.",
        choices=("one_cycle", "cosine", "constant", "step"),
    )
    warmup_fraction: float = setting(0.2, "Share of all steps with a rising rate.", low=0, high=0.9)

    def __post_init__(self) -> None:
        check_settings(self, "scheduler")
