"""The node ``trainer``: device, precision, threads, epochs and checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

from crack_lightning.config.validators import require_choice, require_range

PRECISIONS = ("auto", "32", "bf16", "16")


@dataclass
class TrainerConfig:
    """Device, precision, threads, epochs and checkpoints of a run.

    Attributes:
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        precision: ``auto``, ``32``, ``bf16`` or ``16``; ``auto`` is 32 bits on a CPU and bf16 on a GPU.
            ``16`` needs a GPU; ``bf16`` is many times slower than 32 on a CPU without instructions for it.
        threads: Compute threads on the CPU, of all devices together; ``None`` for every core. The weights
            depend on it.
        devices: Number of GPUs, or of processes on the CPU, that share every batch; ``None`` for every GPU.
        sync_batchnorm: Synchronise BatchNorm statistics across GPUs.
        compile: Use ``torch.compile`` in training and validation. It takes about a minute and a C++ compiler,
            and does not speed up a CPU.
        max_epochs: Number of epochs; ``None`` for as many as see 17,000 tiles, at least 3 and one for each of
            ``recipe.sizes``. With ``recipe=probe`` the largest number of L-BFGS iterations; ``None`` for 200.
        max_train_batches: Largest number of batches an epoch; ``None`` for all.
        max_val_batches: Largest number of validation batches; ``None`` for all.
        monitor: Validation metric that selects the best checkpoint.
        checkpoint_every: Seconds between two checkpoints, the most work that a crash can lose.
        log_every: Steps between two points of the training curves.
    """

    accelerator: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    devices: int | None = 1
    sync_batchnorm: bool = False
    compile: bool = False
    max_epochs: int | None = None
    max_train_batches: int | None = None
    max_val_batches: int | None = None
    monitor: str = "val/loss"
    checkpoint_every: float = 120.0
    log_every: int = 10

    def __post_init__(self) -> None:
        require_choice("trainer.accelerator", self.accelerator, ("auto", "cpu", "gpu"))
        require_choice("trainer.precision", self.precision, PRECISIONS)
        for key in ("threads", "devices", "max_epochs", "max_train_batches", "max_val_batches"):
            if (value := getattr(self, key)) is not None:
                require_range(f"trainer.{key}", value, low=1)
        require_range("trainer.checkpoint_every", self.checkpoint_every, low=0)
        require_range("trainer.log_every", self.log_every, low=1)
        require_choice("trainer.monitor", self.monitor, ("val/loss", "val/accuracy"))

    def problems(self) -> list[str]:
        """List settings that contradict each other."""
        found = []
        if self.accelerator == "cpu" and self.precision == "16":
            found.append("trainer.precision: 16 needs a GPU, and trainer.accelerator is cpu; use 32 or bf16.")
        if self.devices is None and self.accelerator != "gpu":
            found.append(
                f"trainer.devices: null is every GPU, and trainer.accelerator is {self.accelerator}; say how "
                "many processes share a batch, as in trainer.devices=2."
            )
        if self.sync_batchnorm and self.accelerator != "gpu":
            found.append(
                "trainer.sync_batchnorm: only GPUs synchronise BatchNorm, and trainer.accelerator is "
                f"{self.accelerator}; set trainer.accelerator=gpu, or leave it out."
            )
        elif self.sync_batchnorm and self.devices == 1:
            found.append(
                "trainer.sync_batchnorm: one device has none to synchronise with; set trainer.devices, or "
                "leave it out."
            )
        return found


def default_epochs(num_train_tiles: int, num_sizes: int = 0) -> int:
    """Return the number of epochs that see 17,000 training tiles, at least 3 and one per size."""
    return max(3, num_sizes, round(17_000 / max(num_train_tiles, 1)))
