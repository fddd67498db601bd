"""Two hosts share a prediction and a training, and one is lost: the scripts of ``nox -s nodes``, small."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crack_lightning.model.weights.checkpoints import save_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from crack_lightning.model.classifier import CrackClassifier

FOLDER = Path(__file__).parent


def are_possible() -> bool:
    spec = spec_from_file_location("two_hosts", FOLDER / "two_hosts.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["two_hosts"] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return bool(module.are_possible())


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif("not are_possible()", reason="network namespaces need root and ip"),
]


def output_of(script: str, *arguments: str) -> str:
    """Return what a script prints; its errors are shown where it fails."""
    line = [sys.executable, str(FOLDER / script), *arguments]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=580)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_a_lost_node_costs_its_shards_alone(
    build_classifier: Callable[..., CrackClassifier], tmp_path: Path
) -> None:
    path = tmp_path / "model.ckpt"
    save_model(build_classifier(temperature=1.0, threshold=0.5).eval(), path)
    said = output_of("two_node_ray.py", "--tiles=640", "--shard=16", f"--checkpoint={path}")
    assert "640 tiles once each, to the bit" in said


def test_two_hosts_train_as_one_process_also_where_one_is_lost() -> None:
    assert "on two hosts, both stopped by a signal" in output_of("two_host_ddp.py", "--tiles=160")
