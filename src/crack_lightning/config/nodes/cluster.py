"""The node ``cluster``: where shards of the work are computed."""

from __future__ import annotations

from dataclasses import dataclass

from crack_lightning.runtime.cluster.ray_tasks import Reservation
from crack_lightning.runtime.settings import check_settings, setting, unused_keys

TILES_A_SHARD, PHOTOS_A_SHARD = 512, 16


@dataclass
class ClusterConfig:
    """Cluster that computes shards of the files; by default this machine computes alone."""

    name: str = setting("none", "Cluster; `ray` needs the extra `ray`.", choices=("none", "ray"))
    address: str = setting(
        "auto",
        "Address of the cluster.",
        values="`host:port` of its head, or `auto` for the one that this machine belongs to",
        text="plain",
    )
    shard_size: int | None = setting(
        None,
        "Files in a shard, which one task computes, rounded up to whole batches; `null` for 512, or for 16 "
        "where images of each are written.",
        low=1,
    )
    gpus: float = setting(
        0.0, "GPUs that a task reserves, beside `trainer.threads` cores; 0.5 lets two tasks share one.", low=0
    )
    retries: int = setting(3, "How often a shard is computed again after its node was lost.", low=0)

    def __post_init__(self) -> None:
        check_settings(self, "cluster")

    @property
    def is_used(self) -> bool:
        """Whether shards are computed elsewhere."""
        return self.name != "none"

    @property
    def tiles_a_shard(self) -> int:
        """Number of tiles in a shard where no images are written."""
        return self.shard_size or TILES_A_SHARD

    def reservation(self, threads: int) -> Reservation:
        """Return the resources of a task with ``threads`` threads."""
        return Reservation(address=self.address, cpus=threads, gpus=self.gpus, retries=self.retries)

    def problems(self) -> list[str]:
        """List settings that only a cluster reads."""
        if self.is_used:
            return []
        return unused_keys(self, "cluster", ("address", "shard_size", "gpus", "retries"), by="cluster=none")
