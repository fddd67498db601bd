"""What this machine is and how to use it well: threads, allocator, precision, device."""

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
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""As Linux lists them: on x86, and on ARM under "Features"."""


@dataclass(frozen=True, kw_only=True)
class HardwarePlan:
    """How a run computes, and why.

    Attributes:
        accelerator: ``cpu`` or ``gpu``.
        precision: ``32``, ``bf16`` or ``16``.
        threads: Compute threads on the CPU, of all devices together.
        num_workers: Processes that read ahead, for each device.
        machine: What computes, for the user.
        devices: GPUs, or processes on the CPU, that share every training batch.
    """

    accelerator: str
    precision: str
    threads: int
    num_workers: int
    machine: str
    devices: int = 1

    @property
    def reason(self) -> str:
        """The machine, the precision and what that is good for, for the user."""
        return f"{self.machine}, {self.precision} ({_worth(self.precision, gpu=self.accelerator == 'gpu')})"

    @property
    def device(self) -> str:
        """The device in PyTorch's words."""
        return "cuda" if self.accelerator == "gpu" else "cpu"

    @property
    def lightning_precision(self) -> str:
        """The plan's precision in Lightning's words."""
        return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[self.precision]


def limit_omp_spin() -> None:
    """Let OpenMP threads that wait go to sleep soon; call before torch is imported.

    By default they spin, which gains nothing on an idle machine, and on a busy one takes the core from the
    thread that is waited for: with one other process on two cores the median training step took about
    four times as long (MobileNetV2, 96 px).
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")


@contextmanager
def import_without_gc() -> Iterator[None]:
    """Look for no garbage while the block imports, nor ever after in what is there by then: it all stays.

    With torch, timm and Lightning that is a tenth to a third of the time, and later on each full collection
    would look at half a million objects in vain.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # else Triton's bindings complain of leaks at the end
        if collects:
            gc.enable()


def available_cores() -> int:
    """Count the cores that this process may use."""
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
) -> HardwarePlan:
    """Choose devices, precision, threads and workers.

    Args:
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        precision: ``auto``, ``32``, ``bf16`` or ``16``.
        threads: Compute threads; ``None`` takes every core.
        num_workers: Reading processes, for each device; ``None`` suits them to it.
        devices: GPUs, or processes on the CPU; ``None`` takes every GPU.

    Returns:
        The plan, with its reason.

    Raises:
        ConfigError: If more is asked for than there is: a GPU, as many of them, a thread a process, or a
            precision that only a GPU has.
    """
    import torch

    has_gpu = torch.cuda.is_available()
    if accelerator == "gpu" and not has_gpu:
        raise ConfigError(
            "trainer.accelerator: expected a CUDA GPU, and torch finds none; use trainer=cpu or trainer=auto."
        )
    gpu = has_gpu and accelerator != "cpu"
    if precision == "16" and not gpu:  # Lightning would quietly take bf16
        raise ConfigError(
            "trainer.precision: 16 needs a GPU, and this run computes on the CPU; set trainer.precision=32, "
            "or bf16."
        )
    cores = available_cores()
    devices = _counted_devices(devices, gpu=gpu, threads=threads or cores)
    if precision == "auto":
        precision = "bf16" if gpu and torch.cuda.is_bf16_supported(including_emulation=False) else "32"
    if num_workers is None:
        num_workers = min((cores - 1) // devices, 12) if gpu else 0
    device = torch.cuda.get_device_name(0) if gpu else f"{cores} core{'s' * (cores > 1)}, no GPU used"
    if devices > 1:
        device += f", {devices} {'of them' if gpu else 'processes'} that share the training"
    return HardwarePlan(
        accelerator="gpu" if gpu else "cpu",
        precision=precision,
        threads=threads or cores,
        num_workers=num_workers,
        machine=f"{device}; {threads or cores} compute threads, {num_workers} readers",
        devices=devices,
    )


def _worth(precision: str, *, gpu: bool) -> str:
    """Say what a precision is good for on a device."""
    if precision == "32":
        return "TF32 products where the GPU has them" if gpu else "a CPU trains no faster in 16 bits"
    if gpu:
        return "half the memory and twice the rate"
    if has_native_bf16():
        return "half the memory, and a CPU trains no faster in 16 bits"
    return "half the memory, and many times slower than 32, as this processor has no bf16 of its own"


def require_compiler() -> None:
    """Make sure that ``torch.compile`` finds a compiler.

    Raises:
        ConfigError: If there is none.
    """
    named = (os.environ.get("CXX"), os.environ.get("CC"), "g++", "gcc", "clang", "cl")
    if not any(name and shutil.which(name) for name in named):
        raise ConfigError(
            "trainer.compile: expected a C++ compiler (g++, clang or cl) on the path, found none; install "
            "one, or set trainer.compile=false."
        )


def _counted_devices(asked: int | None, *, gpu: bool, threads: int) -> int:
    import torch

    there = torch.cuda.device_count() if gpu else threads
    number = there if asked is None and gpu else asked or 1
    if number > there:
        what = "GPUs, which torch finds" if gpu else "processes, one a compute thread"
        raise ConfigError(
            f"trainer.devices: expected at most {there} {what}, got {number}; set trainer.devices={there}."
        )
    return number


def configure_process(threads: int) -> None:
    """Set the compute threads and let the allocator keep its pages; call before the first tensor."""
    import torch

    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("high")
    keep_freed_memory()


def keep_freed_memory() -> bool:
    """Tell glibc to keep large freed blocks, which every training step asks for again.

    Returns:
        Whether this system's allocator took the settings.
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
    """Return the processor's name as the system gives it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def has_native_bf16() -> bool:
    """Say whether the processor multiplies in bf16 itself; where it does not, bf16 is many times slower."""
    return bool(_BF16_FLAGS & set(f"{_cpuinfo('flags')} {_cpuinfo('Features')}".split()))


def _cpuinfo(key: str) -> str:
    """Return a value of the first processor in Linux's list; empty elsewhere."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return ""
