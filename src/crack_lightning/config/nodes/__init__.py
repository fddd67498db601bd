"""One dataclass for each configuration node."""
