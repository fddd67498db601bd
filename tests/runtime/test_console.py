"""What commands print on consoles that lack characters."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    """Tiles of two classes; some names have what no console shows."""
    rng = np.random.default_rng(0)
    names = ["a.jpg", os.fsdecode(b"Br\xfccke.jpg"), "\u6f22 \u2192.jpg", "esc\x1b[2J\n.jpg", "=1+1.jpg"]
    for folder in ("cracked", "uncracked"):
        (tmp_path / "tiles" / folder).mkdir(parents=True)
        for name in names:
            Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(tmp_path / "x.jpg")
            (tmp_path / "x.jpg").rename(tmp_path / "tiles" / folder / name)
    return tmp_path / "tiles"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_an_audit_ends_well_on_a_console_of_any_encoding(
    encoding: str, tiles: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    (tiles / "\u2192 \u00fc loose.jpg").write_bytes((tiles / "cracked" / "a.jpg").read_bytes())
    command = [sys.executable, "-m", "crack_lightning.audit", str(tiles), f"outputs={tmp_path / 'out'}"]
    done = subprocess.run(
        command, capture_output=True, env={**environment, "PYTHONIOENCODING": encoding}, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    printed = done.stdout.decode(encoding)
    assert "1 picture left out: 1 in '.' (in no class folder)" in printed
    assert "cracked \u2192 crack" in printed or "cracked \\u2192 crack" in printed
    [rows] = (tmp_path / "out").glob("*/*/audit.csv")
    assert len(rows.read_text(encoding="utf-8").split("sha256,")) == 2


def test_an_error_shows_control_characters_instead_of_obeying_them(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "crack_lightning.audit", str(tmp_path / "no\x1b[2Jwhere\udcfc")]
    done = subprocess.run(
        command, capture_output=True, env={**environment, "PYTHONIOENCODING": "ascii"}, check=False
    )
    assert done.returncode == 2
    assert b"no\\x1b[2Jwhere\\udcfc' does not exist" in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_processes_of_a_command_print_any_text_too(
    encoding: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    """A process that a command starts, and one that prints into a job's file."""
    told = "print('\\u2192 \\udcfc')"
    code = f"""
import subprocess, sys
from pathlib import Path
from crack_lightning.runtime.console import escape_unencodable_text
from crack_lightning.sweep.jobs.worker import redirect_output
escape_unencodable_text()
subprocess.run([sys.executable, "-c", {told!r}], check=True)
redirect_output(Path({str(tmp_path / "console.log")!r}))
{told}
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={**environment, "PYTHONIOENCODING": encoding},
        check=True,
    )
    assert done.stdout == b"\\u2192 \\udcfc\n"
    assert (tmp_path / "console.log").read_text(encoding="utf-8") == "\u2192 \\udcfc\n"
