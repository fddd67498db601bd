"""What all tests share: an empty cache, few threads, a small drawn set."""

from __future__ import annotations

import csv
import hashlib
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from crack_lightning.cli.main import main
from crack_lightning.runtime.cache import cache_folder
from crack_lightning.runtime.hardware import limit_omp_spin
from crack_lightning.sweep.jobs.worker import job_context
from tests.cluster_nodes import Nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crack_lightning.data.table import TileTable
    from crack_lightning.model.classifier import CrackClassifier

limit_omp_spin()
if "PYTEST_XDIST_WORKER" in os.environ:  # a process a core
    os.environ.setdefault("OMP_NUM_THREADS", "1")
REAL_DATA = Path(__file__).parents[2] / "shared" / "data"
collect_ignore_glob = [
    "end_to_end/[!t]*.py",
    "end_to_end/two_*.py",
]  # scripts without doctests, whose packages are not all installed


@pytest.fixture(scope="session", autouse=True)
def _empty_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRACK_LIGHTNING_CACHE", str(folder))
        patch.delenv("HYDRA_FULL_ERROR", raising=False)
        yield


@pytest.fixture(autouse=True)
def _readers_are_watched_in_their_test_alone() -> Iterator[None]:
    """Take back torch's handler of SIGCHLD, which raises where a reader of an earlier test ends."""
    yield
    handling = sys.modules.get("torch.utils.data._utils.signal_handling")
    if handling is not None and getattr(handling, "_SIGCHLD_handler_set", False):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        handling._SIGCHLD_handler_set = False  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def metu() -> Path:
    folder = REAL_DATA / "metu"
    if not folder.is_dir():
        pytest.skip("the METU tiles are not beside the project")
    return folder


@pytest.fixture(scope="session")
def metu_table(metu: Path, tmp_path_factory: pytest.TempPathFactory) -> TileTable:
    """METU's tiles with the groups that their names and pixels tell."""
    # heavy, and of few tests: conftest is imported for all
    from crack_lightning.data.scan.prepare import prepare_tiles
    from crack_lightning.data.sources.metu import load

    return prepare_tiles(
        load(metu),
        on_unreadable="error",
        num_workers=2,
        show_progress=False,
        cache=tmp_path_factory.mktemp("metu"),
        near_duplicates=True,
        recover_photos=True,
    )[0]


@pytest.fixture
def build_classifier() -> Callable[..., CrackClassifier]:
    """Build a classifier of two classes for small tiles, with random weights; changes are its arguments."""
    return _build_classifier


def _build_classifier(**changes: Any) -> CrackClassifier:
    import torch

    from crack_lightning.model.classifier import CrackClassifier

    plain: dict[str, Any] = {
        "name": "plain_cnn",
        "class_names": ["intact", "crack"],
        "positive_class": "crack",
        "image_size": 48,
        "mean": [0.4, 0.5, 0.6],
        "std": [0.2, 0.3, 0.4],
        "drop_rate": 0.0,
        "drop_path_rate": 0.0,
        "recipe": "scratch",
        "backbone_lr_scale": 0.1,
        "stage_lr_scale": 0.7,
        "unfreeze_by": 0.5,
        "loss": {"name": "cross_entropy"},
        "optimizer": {"name": "adamw", "lr": 1e-3},
        "scheduler": {"name": "constant"},
    }
    torch.manual_seed(0)
    return CrackClassifier(**plain | changes)


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a stranger, in which a command is run and Python finds a module; that makes ``it ran``."""
    folder = tmp_path / "untrusted"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    code = f"from pathlib import Path\nPath({str(tmp_path / 'it ran')!r}).touch()\nclass Mine: ...\n"
    (folder / "evil.py").write_text(code, encoding="utf-8")
    return folder


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Nodes:
    """A stand-in for the nodes of a Ray cluster."""
    from crack_lightning.inference import cluster_prediction
    from crack_lightning.runtime.cluster import shard_cache

    stand_in = Nodes()
    for module in (cluster_prediction, shard_cache):
        monkeypatch.setattr(module, "run_shards", stand_in.run_shards)
    return stand_in


@pytest.fixture
def openvino() -> None:
    if find_spec("openvino") is None:
        pytest.skip("OpenVINO, of the extra fast, is not installed")


@pytest.fixture
def environment() -> dict[str, str]:
    """What a command of its own process sees."""
    return {**os.environ, "COLUMNS": "200", "PYTHONWARNINGS": "default"}


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Settings of a run of seconds."""
    return [
        "trainer=smoke",
        "data.synthetic.num_tiles=120",
        "data.synthetic.tile_px=64",
        "data.batch_size=8",
        "model=mobilenetv3_small",
        "model.image_size=48",
        "trainer.threads=1",
        "progress=false",
    ]


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of weights for the network of ``tiny``, as good as random."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "mobilenetv3_small.safetensors"
    save_file(timm.create_model("mobilenetv3_small_100").state_dict(), path)
    return str(path)


@pytest.fixture(scope="session")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="session")
def run(outputs: Path, tiny: list[str]) -> Path:
    """The folder of a finished run."""
    assert main(["train", *tiny, f"outputs={outputs}"]) == 0
    [folder] = outputs.glob("*/*_mobilenetv3_small_synthetic")
    return folder


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def rows() -> Callable[[Path], list[dict[str, str]]]:
    return read_rows


def drawn_root(folder: Path) -> Path:
    """The folder in the cache of the drawn tiles that a run used."""
    rows = read_rows(folder / "splits.csv")
    for found in (cache_folder() / "synthetic").glob(f"*/{rows[0]['path']}"):
        root = found.parents[1]
        same = hashlib.sha256(found.read_bytes()).hexdigest() == rows[0]["sha256"]
        if same and all((root / row["path"]).is_file() for row in rows):
            return root
    raise FileNotFoundError(rows[0]["path"])


@pytest.fixture(scope="session")
def root_of() -> Callable[[Path], Path]:
    return drawn_root


@pytest.fixture
def apart() -> Callable[..., None]:
    """Run a function of the test's module in a process of its own: it sends signals to itself."""

    def run(function: Callable[..., None], *arguments: object, **named: object) -> None:
        context = job_context()  # its forkserver has imported torch
        process = context.Process(target=function, args=arguments, kwargs=named)  # type: ignore[attr-defined]
        process.start()
        process.join()
        assert process.exitcode == 0

    return run
