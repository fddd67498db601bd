"""Filters of library warnings that a user cannot act on, each with its reason."""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crack_lightning.runtime.errors import is_disk_full

if TYPE_CHECKING:
    from collections.abc import Iterator

_IGNORED = (
    r".*LeafSpec.*is deprecated",  # Lightning 2.6 with torch 2.15; gone with Lightning's next release
    r".*does not have many workers",  # on a CPU without spare cores, reading in the process is fastest
    r"You're resuming from a checkpoint that ended before the epoch",  # the batch sampler resumes there
    r"Found .* module\(s\) in eval mode at the start of training",  # the frozen backbone
    r"The number of training batches .* is smaller than the logging interval",  # short runs are tests
    r"The `srun` command is available on your system but is not used",  # a run starts its processes itself
    r"It is recommended to use `self.log\(.*sync_dist=True",  # metrics are reduced over all processes already
)


@contextmanager
def filter_warnings() -> Iterator[None]:
    """Ignore the known warnings while the block runs."""
    with warnings.catch_warnings(), _suppress_tensorboard_traceback():
        for message in _IGNORED:
            warnings.filterwarnings("ignore", message=message)
        yield


@contextmanager
def _suppress_tensorboard_traceback() -> Iterator[None]:
    """Suppress the traceback of TensorBoard's thread on a full disk: the next write raises the error."""
    previous = threading.excepthook

    def report(arguments: threading.ExceptHookArgs) -> None:
        of_tensorboard = type(arguments.thread).__module__.startswith("tensorboard.")
        if not (of_tensorboard and is_disk_full(arguments.exc_value)):
            previous(arguments)

    threading.excepthook = report
    try:
        yield
    finally:
        threading.excepthook = previous
