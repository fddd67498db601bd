"""How a run was made: what its report says of settings, machine and versions."""

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
    skipped: Sequence[Mapping[str, str]],
    seconds: Mapping[str, float],
    resumed: int = 0,
    kept_epoch: int | None = None,
    engine: str | None = None,
    precision: str | None = None,
    fitted: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Gather how a run was made; what differs between two equal runs is under ``timing`` and ``made``.

    Args:
        command: What the user typed.
        settings: The resolved configuration, or what there is of it.
        num_parameters: Weights of the model.
        plan: The machine's use.
        skipped: Files left out, with ``path`` and ``reason``.
        seconds: By phase.
        resumed: How often the run was gone on with.
        kept_epoch: The epoch of the tested weights, from 1 as in the log.
        engine: What computed the predictions; PyTorch by default.
        precision: In what precision; the plan's by default.
        fitted: What else the fit tells.

    Returns:
        A mapping for ``write_report``.
    """
    breaks = {"times_resumed": resumed} if resumed else {}
    return {
        "command": command,
        "parameters": num_parameters,
        "best_epoch": kept_epoch,
        "engine": engine or f"eager PyTorch on {plan.accelerator}",
        "precision": precision or plan.precision,
        **(fitted or {}),
        "threads": plan.threads,
        "skipped": list(skipped),
        "machine": describe_machine(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "settings": settings,
        "timing": {"seconds": dict(seconds), "peak_memory_mib": peak_memory_mib(), **breaks},
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def peak_memory_mib() -> int | None:
    """Return the largest resident memory of this process so far in MiB; ``None`` where no count is kept."""
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
