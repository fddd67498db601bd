"""The journal of a sweep, one JSON line per event, to resume it from."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crack_lightning.evaluation.metrics.registry import METRICS
from crack_lightning.runtime.errors import ConfigError, CrackLightningError
from crack_lightning.runtime.files.atomic_write import open_text
from crack_lightning.runtime.files.untrusted_files import COUNT, NUMBER, require_shape
from crack_lightning.sweep.jobs.job_files import read_metrics

if TYPE_CHECKING:
    from pathlib import Path

JOURNAL = "sweep.jsonl"
PLANNED, RUNNING, DONE, FAILED, PRUNED = "planned", "running", "done", "failed", "pruned"
STATES = (PLANNED, RUNNING, DONE, FAILED, PRUNED)


@dataclass(kw_only=True)
class Job:
    """One run of a sweep.

    Attributes:
        number: Its index in the sweep, from 0.
        folder: Its run folder.
        overrides: Its overrides, ``key=value`` each.
        config: Its composed configuration as plain values.
        state: One of ``STATES``.
        reason: Why it failed or was pruned: an exception, a signal.
        attempts: How often it was started.
        params: The values of a search's proposal, by key.
        values: Its objectives by name, once it is done.
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
        """Whether it needs no further run; a failed job may be retried."""
        return self.state in (DONE, PRUNED)

    @property
    def objective(self) -> float | None:
        """The first objective, negated if lower is better."""
        for name, value in self.values.items():
            return value if is_maximised(name) else -value
        return None

    @property
    def status(self) -> str:
        """Its state with the reason."""
        return f"{self.state}: {self.reason}" if self.reason else self.state

    def metrics(self) -> dict[str, float]:
        """Return its test metrics from its report, read once; empty while there is no report."""
        path = self.folder / "report" / "report.json"
        if not self._metrics and path.exists():
            self._metrics = read_metrics(self.folder)
        return self._metrics


def is_maximised(objective: str) -> bool:
    """Return whether higher is better, as the metric's registry entry states; ``False`` for others."""
    metric = METRICS.get(objective.removeprefix("val/"))
    return metric is not None and metric.higher_is_better


class Journal:
    """A write-ahead log of a sweep: its settings, its jobs, and their states.

    A line is on the disk before it is acted upon.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / JOURNAL

    def begin(self, **settings: Any) -> None:
        """Write the first line of a new sweep: its settings, in values that JSON can hold."""
        self._append({"asked": settings})

    def plan(self, job: Job) -> None:
        """Record a planned job."""
        event = {"job": job.number, "overrides": job.overrides, "config": job.config}
        self._append(event | ({"params": job.params} if job.params else {}))

    def note(self, job: Job) -> None:
        """Record the state of a job."""
        event = {"job": job.number, "state": job.state, "attempts": job.attempts}
        details = {"reason": job.reason, "values": job.values}
        self._append(event | {key: value for key, value in details.items() if value})

    def report(self, job: Job, done: float, value: float) -> None:
        """Record a job's objective after a share ``done`` of its epochs."""
        self._append({"job": job.number, "done": round(done, 4), "value": value})

    def settings(self) -> dict[str, Any]:
        """Return the settings of the sweep."""
        with self.path.open(encoding="utf-8") as file:
            return dict(json.loads(file.readline())["asked"])

    def events(self) -> list[dict[str, Any]]:
        """Return all events after the first line."""
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
        """Return the settings of the sweep and its jobs; truncate a half written last line.

        Raises:
            ConfigError: If its file is damaged.
        """
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(self.path, len(whole))
        try:
            first, *events = [json.loads(line) for line in whole.splitlines()]
            require_shape(first, {"asked": {"command": str, "threads": (COUNT, None)}})
            return first["asked"], self._jobs(events)
        except (ValueError, LookupError, RecursionError) as error:
            raise self.damaged(error) from None

    def damaged(self, error: Exception) -> ConfigError:
        """Return the error for a damaged journal."""
        return ConfigError(f"sweep.resume: '{self.path}' is damaged ({error!r}); start a new sweep.")

    def _jobs(self, events: list[dict[str, Any]]) -> list[Job]:
        jobs: list[Job] = []
        for event in events:
            _check(event)
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


_PLANNED = {"overrides": [str], "config": dict, "params": (dict, None)}
_STATE = {"state": str, "attempts": COUNT, "reason": (str, None), "values": ({"*": NUMBER}, None)}


def _check(event: object) -> None:
    """Refuse an event of an unknown form."""
    require_shape(event, {"job": COUNT})
    assert isinstance(event, dict), "checked"
    json.dumps(event, ensure_ascii=False).encode()  # a lone surrogate cannot be written again
    if "config" in event:
        require_shape(event, _PLANNED)
    elif "state" in event:
        require_shape(event, _STATE)
        if event["state"] not in STATES:
            raise ValueError(f"state: expected one of {', '.join(STATES)}, got {event['state']!r}")
    else:
        require_shape(event, {"done": NUMBER, "value": NUMBER})
