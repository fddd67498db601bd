"""Files are scanned while torch is imported, and whatever is wrong with them is left to the run."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
import os, sys, time
from pathlib import Path
from types import SimpleNamespace
from crack_lightning.config.nodes.data import data_config
from crack_lightning.data.scan import file_table, scan
from crack_lightning.experiment.load_data import read_tiles
from crack_lightning.experiment.preflight import prepare_in_background

file_table._SETTLED_NS = 0  # files of a test are new, and not yet trusted to stay as they are
root, what = Path(sys.argv[1]), sys.argv[2]
data = data_config("image_folder", root=str(root))
config = SimpleNamespace(
    data=data, resume=None, progress=False, trainer=SimpleNamespace(threads=2)
)
if what == "interrupted":
    began = time.monotonic()
    try:
        with prepare_in_background(config):
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert time.monotonic() - began < 30
elif what == "imported":
    sys.modules["torch"] = None
    with prepare_in_background(config):
        pass
    assert not Path(os.environ["CRACK_LIGHTNING_CACHE"]).exists()
else:
    with prepare_in_background(config):
        pass
    def never(*_, **__):
        raise AssertionError("read again")
    if what == "whole":
        scan.describe_file = never
    table, _ = read_tiles(data, threads=2, progress=False, near_duplicates=True)
    assert len(table) == 6, len(table)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("crack", "intact"):
        (tmp_path / "tiles" / name).mkdir(parents=True)
        for number in range(3):
            pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "tiles" / name / f"{number}.png")
    return tmp_path / "tiles"


def run(root: Path, what: str) -> subprocess.CompletedProcess[str]:
    cache = {"CRACK_LIGHTNING_CACHE": str(root.parent / "cache")}
    command = [sys.executable, "-c", CODE, str(root), what]
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))} | cache
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("what", ["whole", "interrupted", "imported"])
def test_files_are_scanned_once_unless_torch_is_there_already(what: str, root: Path) -> None:
    done = run(root, what)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_damaged_file_is_reported_once_and_by_the_run(root: Path) -> None:
    (root / "crack" / "0.png").write_bytes(b"no picture")
    done = run(root, "damaged")
    assert done.stdout == ""
    assert done.stderr.count("cannot be decoded") == 1
    assert "DataError" in done.stderr
