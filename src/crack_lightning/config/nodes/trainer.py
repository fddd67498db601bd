"""The node ``trainer``: device, precision, threads, epochs and checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

from crack_lightning.runtime.settings import check_settings, setting

PRECISIONS = ("auto", "32", "bf16", "16")


@dataclass
class TrainerConfig:
    """Device, precision, threads, epochs and checkpoints of a run."""

    accelerator: str = setting(
        "auto", "Device; `auto` is a GPU where there is one.", choices=("auto", "cpu", "gpu")
    )
    precision: str = setting(
        "auto",
        "Floating-point precision; `auto` is 32 bits on a CPU and bf16 on a GPU. `16` needs a GPU; `bf16` is "
        "many times slower than 32 on a CPU without instructions for it.",
        choices=PRECISIONS,
    )
    threads: int | None = setting(
        None,
        "Compute threads on the CPU, of all devices together; `null` for every core. The weights depend on "
        "it.",
        low=1,
    )
    devices: int | None = setting(
        1,
        "Number of GPUs, or of processes on the CPU, that share every batch; `null` for every GPU.",
        low=1,
    )
    nodes: int = setting(
        1,
        "Number of hosts that share every batch, each with `trainer.devices`; torchrun or srun starts the "
        "same command on each.",
        low=1,
    )
    sync_batchnorm: bool = setting(False, "Synchronise BatchNorm statistics across GPUs.")
    compile: bool = setting(
        False,
        "Use `torch.compile` in training and validation. It takes about a minute and a C++ compiler, and "
        "does not speed up a CPU.",
    )
    max_epochs: int | None = setting(
        None,
        "Number of epochs; `null` for about 17,000 training tiles in total, at least 3 and one for each of "
        "`recipe.sizes`. With `recipe=probe` the largest number of L-BFGS iterations; `null` for 200.",
        low=1,
    )
    max_train_batches: int | None = setting(
        None, "Largest number of batches an epoch; `null` for all.", low=1
    )
    max_val_batches: int | None = setting(
        None, "Largest number of validation batches; `null` for all.", low=1
    )
    monitor: str = setting(
        "val/loss",
        "Validation metric that selects the best checkpoint.",
        choices=("val/loss", "val/accuracy"),
    )
    checkpoint_every: float = setting(
        120.0, "Seconds between two checkpoints, the most work that a crash can lose.", low=0
    )
    log_every: int = setting(10, "Steps between two points of the training curves.", low=1)

    def __post_init__(self) -> None:
        check_settings(self, "trainer")

    def problems(self) -> list[str]:
        """List settings that contradict each other."""
        problems = []
        if self.accelerator == "cpu" and self.precision == "16":
            problems.append(
                "trainer.precision: 16 needs a GPU, and trainer.accelerator is cpu; use 32 or bf16."
            )
        if self.devices is None and self.accelerator != "gpu":
            problems.append(
                f"trainer.devices: null is every GPU, and trainer.accelerator is {self.accelerator}; say how "
                "many processes share a batch, as in trainer.devices=2."
            )
        if self.sync_batchnorm and self.accelerator != "gpu":
            problems.append(
                "trainer.sync_batchnorm: only GPUs synchronise BatchNorm, and trainer.accelerator is "
                f"{self.accelerator}; set trainer.accelerator=gpu, or leave it out."
            )
        elif self.sync_batchnorm and self.devices == 1 == self.nodes:
            problems.append(
                "trainer.sync_batchnorm: one device has none to synchronise with; set trainer.devices, or "
                "leave it out."
            )
        return problems


def default_epochs(num_train_tiles: int, num_sizes: int = 0) -> int:
    """Return the number of epochs for about 17,000 training tiles in total, at least 3 and one per size."""
    return max(3, num_sizes, round(17_000 / max(num_train_tiles, 1)))
