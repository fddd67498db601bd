"""The node ``evaluation``: threshold and calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.settings import setting

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class EvaluationConfig:
    """What is fitted on validation tiles after training: threshold and calibration."""

    threshold: str = setting(
        "0.5",
        "Decision threshold of the positive class: a number; `f1` for the best F1 score; `recall:0.99` for a "
        "recall by the lower confidence bound; `cost:10` where a miss costs ten false alarms.",
        values="a number in [0, 1], `f1`, `recall:0.99` or `cost:10`",
    )
    calibrate: bool = setting(True, "Fit the temperature of the probabilities.")

    def __post_init__(self) -> None:
        self.threshold = str(self.threshold)
        kind, _, value = self.threshold.partition(":")
        try:
            good = {
                "f1": lambda: not value,
                "recall": lambda: 0 < float(value) < 1,
                "cost": lambda: float(value) > 0,
            }.get(kind, lambda: 0 <= float(self.threshold) <= 1)()
        except ValueError:
            good = False
        if not good:
            raise ConfigError(
                "evaluation.threshold: expected a number in [0, 1], f1, recall:0.99 or cost:10, "
                f"got {self.threshold}."
            )

    def check_classes(self, class_names: Sequence[str], positive_class: str | None) -> None:
        """Refuse a threshold unless there are two classes, one of them positive.

        Raises:
            ConfigError: If one was set, and there are not two classes of which one is positive.
        """
        if self.threshold != EvaluationConfig.threshold and (len(class_names) != 2 or positive_class is None):
            raise ConfigError(
                f"evaluation.threshold: a threshold needs two classes, one of them positive, got "
                f"{self.threshold} for {', '.join(class_names)}; leave it out."
            )
