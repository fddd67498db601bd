"""One dataclass a node of the configuration."""
