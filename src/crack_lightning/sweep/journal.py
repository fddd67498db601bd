"""What a sweep has planned and done, a line an event, so that another process can go on with it."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crack_lightning.errors import ConfigError, CrackLightningError
from crack_lightning.run_folder import open_text

if TYPE_CHECKING:
    from pathlib import Path

JOURNAL = "sweep.jsonl"
PLANNED, RUNNING, DONE, FAILED, PRUNED = "planned", "running", "done", "failed", "pruned"


@dataclass(kw_only=True)
class Job:
    """One run of a sweep.

    Attributes:
        number: Its place in the sweep, from 0.
        folder: Where it writes.
        overrides: What makes it, ``key=value`` each.
        config: Its composed configuration as plain values.
        state: ``planned``, ``running``, ``done``, ``failed`` or ``pruned``.
        reason: Why it failed or was pruned: an exception, a signal.
        attempts: How often it was started.
        params: What a search gave it, by key.
        values: What a search judges it by, once it is done.
    """

    number: int
    folder: Path
    overrides: list[str]
    config: dict[str, Any]
    state: str = PLANNED
    reason: str = ""
    attempts: int = 0
    params: dict[str, Any] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    _metrics: dict[str, float] = field(default_factory=dict, repr=False, compare=False)

    @property
    def ended(self) -> bool:
        """Whether nothing of it is left to be done; a failed job may be tried again."""
        return self.state in (DONE, PRUNED)

    @property
    def objective(self) -> float | None:
        """What a search has most of in its best job: the first objective, losses and seconds negated."""
        for name, value in self.values.items():
            return value if name.endswith("accuracy") else -value
        return None

    @property
    def status(self) -> str:
        """Its state in words."""
        return f"{self.state}: {self.reason}" if self.reason else self.state

    def metrics(self) -> dict[str, float]:
        """Return its test figures, of a report that is read once; none while there is no report."""
        path = self.folder / "report" / "report.json"
        if not self._metrics and path.exists():
            self._metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]
        return self._metrics


class Journal:
    """A sweep's file of events: what it was asked, its jobs, and what became of them.

    A line is on the disk before what it tells is acted upon. A line that a killed sweep left half written is
    cut off when the file is opened again.

    Args:
        folder: The sweep's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / JOURNAL

    def begin(self, **asked: Any) -> None:
        """Write the first line of a new sweep: what it was asked, in values that JSON can hold."""
        self._append({"asked": asked})

    def plan(self, job: Job) -> None:
        """Write down that a job is to be done."""
        event = {"job": job.number, "overrides": job.overrides, "config": job.config}
        self._append(event | ({"params": job.params} if job.params else {}))

    def note(self, job: Job) -> None:
        """Write down what has become of a job."""
        event = {"job": job.number, "state": job.state, "attempts": job.attempts}
        told = {"reason": job.reason, "values": job.values}
        self._append(event | {key: value for key, value in told.items() if value})

    def report(self, job: Job, done: float, value: float) -> None:
        """Write down a job's figure after a share of its epochs."""
        self._append({"job": job.number, "done": round(done, 4), "value": value})

    def asked(self) -> dict[str, Any]:
        """Return what the sweep was asked."""
        with self.path.open(encoding="utf-8") as file:
            return dict(json.loads(file.readline())["asked"])

    def events(self) -> list[dict[str, Any]]:
        """Return all events after the first line, as they were written."""
        return [json.loads(line) for line in self.path.read_bytes().splitlines()[1:]]

    def _append(self, event: dict[str, Any]) -> None:
        line = json.dumps({**event, "at": round(time.time(), 3)}, ensure_ascii=False)
        try:
            with open_text(self.path, "a") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise CrackLightningError(
                f"sweep: cannot write '{self.path}' ({error.strerror}); make room, and go on with "
                f"sweep.resume={self.folder}."
            ) from error

    def read(self) -> tuple[dict[str, Any], list[Job]]:
        """Return what the sweep was asked and its jobs as they stand, and cut off a half written line.

        Raises:
            ConfigError: If its file is damaged.
        """
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(self.path, len(whole))
        try:
            first, *events = [json.loads(line) for line in whole.splitlines()]
            return dict(first["asked"]), self._jobs(events)
        except (ValueError, LookupError, TypeError) as error:
            raise ConfigError(
                f"sweep.resume: '{self.path}' is damaged ({error!r}); start a new sweep."
            ) from None

    def _jobs(self, events: list[dict[str, Any]]) -> list[Job]:
        jobs: list[Job] = []
        for event in events:
            number = event["job"]
            if "config" in event:
                if number != len(jobs):
                    raise ValueError(f"job {number} after {len(jobs)} jobs")
                planned = {key: event[key] for key in ("overrides", "config", "params") if key in event}
                jobs.append(Job(number=number, folder=self.folder / str(number), **planned))
            elif "state" in event:
                job = jobs[number]
                job.values = event.get("values", {})
                job.state, job.attempts = event["state"], event["attempts"]
                job.reason = event.get("reason", "")
        return jobs
