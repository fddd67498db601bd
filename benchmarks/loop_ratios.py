"""What the training loop is worth: ours against a hand-written one, tensors in memory, and the defaults."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from loops import SETTINGS
from step_parts import PARTS
from turns import Ratio, processes_in_turns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEAST_BY_HAND = 0.97
BY_HAND = ("by_hand", "by_hand_in_memory", "ours")
TENSORS = ("ours", "tensors")
DEFAULTS = ("defaults", *(f"only_{name}" for name in SETTINGS), "ours")
GROUPS = {"by_hand": BY_HAND, "tensors": (*TENSORS, "split"), "defaults": (*DEFAULTS, "reader")}
"""What is measured together: all of a group are in memory at once."""

Measured = dict[str, list[dict[str, Any]]]


def measure(
    variants: Sequence[str],
    metu: Path,
    *,
    turns: int,
    options: Mapping[str, int] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Measured:
    """Let variants of the loop train in turn.

    Args:
        variants: Names of ``loops.VARIANTS``.
        metu: The tiles.
        turns: Measurements of each.
        options: Of ``loops.py``: ``size``, ``batch``, ``steps``.
        environment: Of the processes.
    """
    asked = [f"--{name}={value}" for name, value in (options or {}).items()]
    script = str(Path(__file__).with_name("loops.py"))
    lines = {name: [sys.executable, script, name, f"--data={metu}", *asked] for name in variants}
    return processes_in_turns(lines, turns=turns, environment=environment)


def ratio(measured: Measured, what: str, over: str) -> Ratio:
    """Compare two variants, turn by turn."""
    return Ratio(what, over, *([turn["rate"] for turn in measured[name]] for name in (what, over)))


def by_hand(measured: Measured) -> str:
    """Say what ours reaches of a hand-written loop, unless that one is none to compare with."""
    itself = ratio(measured, "by_hand", "by_hand_in_memory")
    ours = ratio(measured, "ours", "by_hand")
    if itself.median < LEAST_BY_HAND:
        return (
            f"void: the hand-written loop reaches {itself.told} of the same step on one repeated batch in "
            f"memory, and {LEAST_BY_HAND} is asked; ours over it {ours.told}"
        )
    return f"{ours.told}; the hand-written loop itself {itself.told} of its step on one batch in memory"


def against_defaults(measured: Measured) -> str:
    """Say what our settings bring beyond channels_last, and what each brings alone."""
    beyond, alone = ratio(measured, "ours", "only_channels_last"), []
    for name, meaning in SETTINGS.items():
        alone.append(f"{meaning} {ratio(measured, f'only_{name}', 'defaults').told}")
    everything = ratio(measured, "ours", "defaults")
    return f"beyond channels_last {beyond.told}; in all {everything.told}; alone: {'; '.join(alone)}"


def split_step(measured: Measured) -> str:
    """Say what the parts of a step take, in the median turn."""
    shares = []
    for part in PARTS:
        each = [turn["parts"][part] / sum(turn["parts"].values()) for turn in measured["split"]]
        shares.append(f"{part} {median(each):.1%}")
    return ", ".join(shares)


def table(measured: Mapping[str, Measured]) -> list[Ratio]:
    """Return every ratio of ``GROUPS``, by whose names what was measured together comes."""
    pairs = {
        "by_hand": [("ours", "by_hand"), ("by_hand", "by_hand_in_memory")],
        "tensors": [("ours", "tensors")],
        "defaults": [
            *(("ours", "defaults"), ("ours", "only_channels_last"), ("ours", "reader")),
            *((f"only_{name}", "defaults") for name in SETTINGS),
        ],
    }
    return [ratio(measured[group], what, over) for group, found in pairs.items() for what, over in found]
