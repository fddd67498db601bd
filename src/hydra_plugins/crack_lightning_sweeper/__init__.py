"""Hydra sweeper that calls crack_lightning.sweep; imports nothing heavy: Hydra loads it at every start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper

if TYPE_CHECKING:
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig


class CrackSweeper(Sweeper):
    """Runs each job of a sweep in a process of its own."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store the arguments for the sweep."""
        self.context = hydra_context
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        """Run all jobs that ``arguments`` describe."""
        from crack_lightning.sweep.sweeper import run_sweep

        assert self.config is not None, "Hydra calls setup before sweep"
        return run_sweep(arguments, context=self.context, config=self.config)


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="crack",
    node={"_target_": "hydra_plugins.crack_lightning_sweeper.CrackSweeper"},
    provider="crack_lightning",
)
