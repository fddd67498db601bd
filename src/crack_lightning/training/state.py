"""The phase of a run, in ``state.json``, from which the run resumes."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.files.atomic_write import write_text
from crack_lightning.runtime.files.untrusted_files import COUNT, NUMBER, read_json, require_shape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_FIGURES = {"*": (NUMBER, float)}  # a metric may be undefined
_STATE = {
    "phase": str,
    "history": [_FIGURES],
    "seconds": {"*": NUMBER},
    "fitted": dict,
    "validation": _FIGURES,
    "command": str,
    "resumed": COUNT,
}


@dataclass
class RunState:
    """The phase of a run, and results of earlier phases that later ones read.

    Attributes:
        phase: ``fit`` during training, ``test`` until the report is written, then ``finished``.
        history: Figures of each epoch, once fitted.
        seconds: Seconds by phase, over all resumptions.
        fitted: Further facts about training for the report.
        validation: ``val/loss`` (nats) and ``val/accuracy`` of the best checkpoint, uncalibrated.
        command: The command line that began the run.
        resumed: How often the run was resumed.
    """

    phase: str = "fit"
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    fitted: dict[str, Any] = field(default_factory=dict)
    validation: dict[str, float] = field(default_factory=dict)
    command: str = ""
    resumed: int = 0

    def write(self, folder: Path) -> None:
        """Write the state into a run's folder."""
        write_text(folder / "state.json", json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, folder: Path) -> RunState:
        """Read the state from a run's folder; the initial state if there is no file.

        Raises:
            DataError: If the file is damaged.
        """
        path = folder / "state.json"
        if not path.exists():
            return cls()
        try:
            stored = read_json(path)
            require_shape({**asdict(cls()), **stored}, _STATE)
            return cls(**stored)
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"resume: '{path}' is damaged ({error}); start a new run.") from None

    @classmethod
    def is_finished(cls, folder: Path) -> bool:
        """Return whether a run is finished and its report exists."""
        has_report = (folder / "report" / "report.json").is_file()
        return has_report and cls.read(folder).phase == "finished"

    @classmethod
    def entered(cls, folder: Path, *, command: str) -> RunState:
        """Return the state of a run that a command starts or resumes, and write it."""
        is_resumed = (folder / "state.json").exists()
        state = cls.read(folder)
        state.resumed += is_resumed
        state.command = state.command or command
        state.write(folder)
        return state

    def advance(self, phase: str, folder: Path, *, history: list[dict[str, float]] | None = None) -> None:
        """Set the next phase and write the state."""
        self.phase = phase
        self.history = self.history if history is None else history
        self.write(folder)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the seconds that the block takes to ``seconds[name]``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - began, 3)
