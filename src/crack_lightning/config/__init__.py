"""Configuration schemas: one dataclass per node, checked before anything is built."""

from crack_lightning.config.commands import (
    COMMANDS,
    SCHEMAS,
    AuditConfig,
    CompareConfig,
    EvaluateConfig,
    PredictConfig,
    ShardsConfig,
)
from crack_lightning.config.conf_files import conf_dir
from crack_lightning.config.nodes.train import TrainConfig
from crack_lightning.config.parse import compose_config, parse, plugin_names, register_schemas, write_config
from crack_lightning.config.resuming.moved_data import take_moved_data
from crack_lightning.config.resuming.resumed_config import resumed_config, resumed_prediction, resumed_shards
from crack_lightning.config.resuming.trusted_code import names_code
from crack_lightning.config.validators import require_checkpoint, require_weights

__all__ = [
    "COMMANDS",
    "SCHEMAS",
    "AuditConfig",
    "CompareConfig",
    "EvaluateConfig",
    "PredictConfig",
    "ShardsConfig",
    "TrainConfig",
    "compose_config",
    "conf_dir",
    "names_code",
    "parse",
    "plugin_names",
    "register_schemas",
    "require_checkpoint",
    "require_weights",
    "resumed_config",
    "resumed_prediction",
    "resumed_shards",
    "take_moved_data",
    "write_config",
]
