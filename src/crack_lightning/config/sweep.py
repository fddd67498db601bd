"""What ``-m`` does with its jobs."""

from __future__ import annotations

from dataclasses import dataclass, fields

from crack_lightning.config.checks import require_range, unread
from crack_lightning.errors import ConfigError


@dataclass
class SweepConfig:
    """A sweep's own settings; a single run reads none of them.

    Attributes:
        resume: A sweep's folder, or ``latest``: run what is missing or unfinished there.
        jobs: How many jobs run at once: a number, or ``auto`` for one a GPU, else one a core.
        retries: How often a job that failed is started again, where it stopped.
        max_failures: Failed jobs with which no other is started; ``None`` starts all whatever fails.
    """

    resume: str | None = None
    jobs: str = "1"
    retries: int = 0
    max_failures: int | None = None

    def __post_init__(self) -> None:
        if self.jobs != "auto" and not (self.jobs.isdecimal() and int(self.jobs) > 0):
            raise ConfigError(f"sweep.jobs: expected auto or a number at least 1, got '{self.jobs}'.")
        require_range("sweep.retries", self.retries, low=0)
        if self.max_failures is not None:
            require_range("sweep.max_failures", self.max_failures, low=1)

    def require_sweep(self) -> None:
        """Refuse what a single run, which has no ``-m``, would not read.

        Raises:
            ConfigError: With every setting that was given.
        """
        keys = [item.name for item in fields(self)]
        if found := unread(self, "sweep", keys, by="a run without -m"):
            raise ConfigError("\n".join(found))
