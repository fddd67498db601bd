"""What the wheel holds, and that it runs away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def run_unpacked(wheel: Path, folder: Path, *arguments: str) -> str:
    """Run Python in an empty folder with the wheel's code before the checkout's."""
    unpacked, empty = folder / "unpacked", folder / "empty"
    empty.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    # Coverage looks for the sources at the report, when this folder is gone.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=empty,
        env={**inherited, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not list(empty.iterdir())
    return done.stdout


def test_the_wheel_holds_every_module_and_option_file(names: set[str]) -> None:
    modules = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")}
    options = {f"crack_lightning/{path.relative_to(ROOT)}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert {"crack_lightning/cli/main.py", "hydra_plugins/crack_lightning_sweeper/__init__.py"} <= modules
    assert "crack_lightning/conf/train.yaml" in options
    head = {f"crack_lightning/builtin/{name}" for name in ("head.safetensors", "README.md")}
    assert modules | options | head | {"crack_lightning/py.typed"} <= names


def test_the_wheel_holds_nothing_else(names: set[str]) -> None:
    assert "hydra_plugins/__init__.py" not in names
    assert {name.split("/")[0] for name in names} == {"crack_lightning", "hydra_plugins"}
    assert not {name for name in names if {"tests", "outputs", "__pycache__"} & set(name.split("/"))}


def test_the_wheel_finds_its_own_option_files(wheel: Path, tmp_path: Path) -> None:
    code = (
        "import crack_lightning, crack_lightning.config as c; print(crack_lightning.__file__, c.conf_dir())"
    )
    package, conf = map(Path, run_unpacked(wheel, tmp_path, "-c", code).split())
    assert package == tmp_path / "unpacked" / "crack_lightning" / "__init__.py"
    assert conf == package.parent / "conf"


def test_the_wheel_composes_the_main_job(wheel: Path, tmp_path: Path) -> None:
    text = run_unpacked(wheel, tmp_path, "-m", "crack_lightning.train", "model=resnet18", "--cfg", "job")
    assert "name: resnet18" in text
