"""Speed of the training loop, relative to a minimal loop, to tensors in memory and to library defaults."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from loop_process import SETTINGS
from step_parts import PARTS
from turns import HEADING, Ratio, processes_in_turns

if TYPE_CHECKING:
    from commands import Commands

    Measured = dict[str, list[dict[str, Any]]]

TOGETHER = (
    ("by_hand", "by_hand_in_memory", "ours"),
    ("ours", "tensors", "split"),
    ("defaults", *(f"only_{name}" for name in SETTINGS), "ours"),
)
"""Variants of ``loop_process`` that are measured in turns; all of a group are in memory at once."""

PAIRS = (
    (("ours", "by_hand"), ("by_hand", "by_hand_in_memory")),
    (("ours", "tensors"),),
    (("ours", "defaults"), *((f"only_{name}", "defaults") for name in SETTINGS)),
)


def measure(commands: Commands, *, turns: int) -> str:
    """Compare the variants of the training loop."""
    rows = []
    script = str(Path(__file__).with_name("loop_process.py"))
    for variants, pairs in zip(TOGETHER, PAIRS, strict=True):
        lines = {name: [sys.executable, script, name, f"--data={commands.metu}"] for name in variants}
        measured = processes_in_turns(lines, turns=turns, environment=commands.environment)
        rows += [ratio(measured, *pair).as_row() for pair in pairs]
        if "split" in measured:
            shares = step_shares(measured)
    meanings = "; ".join(f"{name}: {meaning}" for name, meaning in SETTINGS.items())
    return "\n".join([HEADING, *rows, "", f"A step of ours: {shares}.", "", f"{meanings}."])


def ratio(measured: Measured, what: str, over: str) -> Ratio:
    """Compare two variants, turn by turn."""
    return Ratio(what, over, *([turn["rate"] for turn in measured[name]] for name in (what, over)))


def step_shares(measured: Measured) -> str:
    """Return the median share of each part in the time of a step as text."""
    turns = [(turn["parts"], sum(turn["parts"].values())) for turn in measured["split"]]
    return ", ".join(f"{part} {median(parts[part] / whole for parts, whole in turns):.1%}" for part in PARTS)
