"""The configured loggers that write for TensorBoard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.runtime.targets import nodes_of_class

if TYPE_CHECKING:
    from crack_lightning.config import TrainConfig

_TENSORBOARD = "pytorch_lightning.loggers.TensorBoardLogger"


def tensorboard_loggers(config: TrainConfig) -> dict[str, Any]:
    """Return the loggers that write for TensorBoard, by name.

    Lightning, whose import takes a second, is imported only if a logger is not its TensorBoardLogger.
    """
    nodes = {name: node for name, node in config.logger.items() if node is not None}
    if all(isinstance(node, dict) and node.get("_target_") == _TENSORBOARD for node in nodes.values()):
        return nodes
    from pytorch_lightning.loggers import TensorBoardLogger

    return nodes_of_class(nodes, TensorBoardLogger, plugins=config.plugins)
