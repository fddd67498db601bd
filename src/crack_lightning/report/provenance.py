"""Provenance of a run: command, settings, machine, versions and times."""

from __future__ import annotations

import sys
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from crack_lightning.runtime.hardware import describe_machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crack_lightning.runtime.hardware import HardwarePlan

_PACKAGES = ("crack-lightning", "torch", "torchvision", "pytorch-lightning", "timm", "torchmetrics", "numpy")


def provenance(
    *,
    command: str,
    settings: Mapping[str, Any],
    num_parameters: int,
    plan: HardwarePlan,
    excluded_files: Sequence[Mapping[str, str]],
    seconds: Mapping[str, float],
    resumed: int = 0,
    best_epoch: int | None = None,
    backend: str | None = None,
    precision: str | None = None,
    fitted: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Collect the provenance of a run; ``timing`` and ``created`` alone differ between equal runs.

    Args:
        command: The command line.
        settings: Resolved configuration without output and display keys.
        num_parameters: Number of parameters of the model.
        plan: Devices, threads and precision.
        excluded_files: Unreadable files and those that ``data.exclude`` names, with ``path`` and ``reason``.
        seconds: Seconds by phase.
        resumed: Number of times that the run was resumed.
        best_epoch: Epoch of the tested weights, counted from 1 as in the log.
        backend: Inference backend; PyTorch by default.
        precision: Precision of inference; that of the plan by default.
        fitted: Further facts of the fit.

    Returns:
        A mapping for ``write_report``.
    """
    resumption = {"times_resumed": resumed} if resumed else {}
    return {
        "command": command,
        "parameters": num_parameters,
        "best_epoch": best_epoch,
        "backend": backend or f"eager PyTorch on {plan.accelerator}",
        "precision": precision or plan.precision,
        **(fitted or {}),
        "threads": plan.threads,
        "excluded_files": list(excluded_files),
        "machine": describe_machine(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "settings": settings,
        "timing": {"seconds": dict(seconds), "peak_memory_mib": peak_memory_mib(), **resumption},
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def peak_memory_mib() -> int | None:
    """Return the peak resident memory of this process in MiB; ``None`` on systems that do not record it."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
