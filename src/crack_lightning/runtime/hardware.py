"""Hardware of this machine and settings for it: device, precision, threads, allocator."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import platform
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # in /proc/cpuinfo, of x86 and of ARM


@dataclass(frozen=True, kw_only=True)
class HardwarePlan:
    """Device, precision and parallelism of a run.

    Attributes:
        accelerator: ``cpu`` or ``gpu``.
        precision: ``32``, ``bf16`` or ``16``.
        threads: Compute threads on the CPU, of all devices together.
        num_workers: DataLoader workers of each device.
        machine: Description of the hardware for the user.
        devices: GPUs, or processes on the CPU, of each host that share every training batch.
        nodes: Hosts that share every training batch.
    """

    accelerator: str
    precision: str
    threads: int
    num_workers: int
    machine: str
    devices: int = 1
    nodes: int = 1

    @property
    def processes(self) -> int:
        """Number of processes that share every training batch."""
        return self.devices * self.nodes

    @property
    def reason(self) -> str:
        """Description of the machine and of the precision, for the user."""
        description = _describe_precision(self.precision, gpu=self.accelerator == "gpu")
        return f"{self.machine}, {self.precision} ({description})"

    @property
    def device(self) -> str:
        """PyTorch's name of the device."""
        return "cuda" if self.accelerator == "gpu" else "cpu"

    @property
    def lightning_precision(self) -> str:
        """Lightning's name of the precision."""
        return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[self.precision]


def limit_omp_spin() -> None:
    """Limit busy-waiting of OpenMP threads; call before torch is imported.

    By default waiting threads spin, which gains nothing on an idle machine and on a busy one blocks the core
    of the thread they wait for: with one other process on two cores the median training step took about four
    times as long (MobileNetV2, 96 px).
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")


@contextmanager
def import_without_gc() -> Iterator[None]:
    """Disable garbage collection during imports, and exclude the imported objects from later collections.

    Collections take a tenth to a third of the time of importing torch, timm and Lightning, and each later
    full collection would traverse half a million permanent objects.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        atexit.register(_unfreeze_for_triton)
        if collects:
            gc.enable()


def _unfreeze_for_triton() -> None:
    """Let Triton's bindings, which otherwise report leaks, be collected at exit; that takes half a second."""
    if "triton" in sys.modules:
        gc.unfreeze()


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def plan_hardware(
    *,
    accelerator: str,
    precision: str,
    threads: int | None,
    num_workers: int | None,
    devices: int | None = 1,
    nodes: int = 1,
) -> HardwarePlan:
    """Choose devices, precision, threads and workers.

    Args:
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        precision: ``auto``, ``32``, ``bf16`` or ``16``.
        threads: Compute threads; ``None`` for one per core.
        num_workers: DataLoader workers of each device; ``None`` chooses them by device.
        devices: GPUs, or processes on the CPU; ``None`` for every GPU.
        nodes: Hosts that share a training.

    Returns:
        The plan.

    Raises:
        ConfigError: If there is no GPU, there are fewer GPUs or threads than ``devices``, or the precision
            needs a GPU.
    """
    import torch

    has_gpu = torch.cuda.is_available()
    if accelerator == "gpu" and not has_gpu:
        raise ConfigError(
            "trainer.accelerator: expected a CUDA GPU, and torch finds none; use trainer=cpu or trainer=auto."
        )
    gpu = has_gpu and accelerator != "cpu"
    if precision == "16" and not gpu:  # Lightning would silently use bf16
        raise ConfigError(
            "trainer.precision: 16 needs a GPU, and this run computes on the CPU; set trainer.precision=32, "
            "or bf16."
        )
    cores = available_cores()
    devices = _resolve_devices(devices, gpu=gpu, threads=threads or cores)
    if precision == "auto":
        precision = "bf16" if gpu and torch.cuda.is_bf16_supported(including_emulation=False) else "32"
    if num_workers is None:
        num_workers = min((cores - 1) // devices, 12) if gpu else 0
    device = torch.cuda.get_device_name(0) if gpu else f"{cores} core{'s' * (cores > 1)}, no GPU used"
    if nodes > 1:
        device += f", one of {nodes} hosts that share the training"
    if devices > 1:
        device += f", {devices} {'of them' if gpu else 'processes'} that share the training"
    return HardwarePlan(
        accelerator="gpu" if gpu else "cpu",
        precision=precision,
        threads=threads or cores,
        num_workers=num_workers,
        machine=f"{device}; {threads or cores} compute threads, {num_workers} readers",
        devices=devices,
        nodes=nodes,
    )


def _describe_precision(precision: str, *, gpu: bool) -> str:
    """Describe the cost and gain of a precision on a device."""
    if precision == "32":
        return "TF32 products where the GPU has them" if gpu else "a CPU trains no faster in 16 bits"
    if gpu:
        return "half the memory and twice the rate"
    if has_native_bf16():
        return "half the memory, and a CPU trains no faster in 16 bits"
    return "half the memory, and many times slower than 32, as this processor has no bf16 of its own"


def require_compiler() -> None:
    """Check that a C++ compiler for ``torch.compile`` is installed.

    Raises:
        ConfigError: If there is none.
    """
    candidates = (os.environ.get("CXX"), os.environ.get("CC"), "g++", "gcc", "clang", "cl")
    if not any(name and shutil.which(name) for name in candidates):
        raise ConfigError(
            "trainer.compile: expected a C++ compiler (g++, clang or cl) on the path, found none; install "
            "one, or set trainer.compile=false."
        )


def _resolve_devices(devices: int | None, *, gpu: bool, threads: int) -> int:
    import torch

    limit = torch.cuda.device_count() if gpu else threads
    number = limit if devices is None and gpu else devices or 1
    if number > limit:
        what = "GPUs, which torch finds" if gpu else "processes, one a compute thread"
        raise ConfigError(
            f"trainer.devices: expected at most {limit} {what}, got {number}; set trainer.devices={limit}."
        )
    return number


def configure_process(threads: int) -> None:
    """Set the compute threads, matmul precision and allocator; call before the first tensor."""
    import torch

    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("high")
    configure_allocator()


def configure_allocator() -> bool:
    """Make glibc reuse large freed blocks, which every training step allocates again.

    Returns:
        Whether the allocator accepted the settings.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 4097))


def describe_machine() -> dict[str, str | int]:
    """Return processor, cores, memory (GiB), system and GPU, for a report."""
    import torch

    machine: dict[str, str | int] = {
        "processor": describe_processor(),
        "cores": available_cores(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none",
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        machine["memory_gib"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)
    return machine


def describe_processor() -> str:
    """Return the processor's name."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def has_native_bf16() -> bool:
    """Return whether the processor has bf16 instructions; without them bf16 is many times slower."""
    return bool(_BF16_FLAGS & set(f"{_cpuinfo('flags')} {_cpuinfo('Features')}".split()))


def _cpuinfo(key: str) -> str:
    """Return a value of the first processor in ``/proc/cpuinfo``; empty elsewhere."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return ""
