"""The arrows of the house, and what importing costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from crack_lightning.config.commands import COMMANDS

SOURCE = Path(__file__).parents[1] / "src" / "crack_lightning"
TESTS = Path(__file__).parent
MAY_IMPORT = {
    "runtime": set(),
    "config": {"runtime", "data", "model"},
    "data": {"runtime"},
    "evaluation": {"runtime"},
    "model": {"runtime", "evaluation"},
    "training": {"runtime", "data", "model", "evaluation"},
    "report": {"runtime", "data", "model", "evaluation"},
    "inference": {"runtime", "config", "data", "model", "evaluation"},
    "comparison": {"runtime", "config", "evaluation", "report"},
    "experiment": {"runtime", "config", "data", "model", "evaluation", "training", "report", "inference"},
    "sweep": {
        "runtime",
        "config",
        "cli",
        "evaluation",
        "comparison",
        "experiment",
        "model",
        "report",
        "inference",
    },
    "cli": {"runtime", "config", ""},
    **{
        name: {"runtime", "cli", "config", "experiment", "report", "inference", "comparison"}
        for name in COMMANDS
    },
    "__main__": {"cli"},
    "": {"runtime", "inference", ""},
}
CONFIGURED = {"config", "sweep", "cli", *COMMANDS}


def imported(path: Path) -> set[str]:
    """Every module that a file imports, at whatever place, but for type checking."""
    names = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            skipped |= set(ast.walk(node))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py").replace("__init__", "")


MODULES = sorted(SOURCE.rglob("*.py"))


def test_every_module_is_in_a_known_room() -> None:
    assert len(MODULES) > 40
    assert {room(path) for path in MODULES} == set(MAY_IMPORT)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_a_module_follows_the_arrows(path: Path) -> None:
    here = room(path)
    rooms = {[*name.split("."), ""][1] for name in imported(path) if name.split(".")[0] == "crack_lightning"}
    rooms = {name if name in MAY_IMPORT else "" for name in rooms}
    assert rooms <= MAY_IMPORT[here] | {here}


def test_the_configuration_imports_only_registries_of_the_model() -> None:
    crossing = {
        name.rpartition(".")[0]
        for path in MODULES
        if room(path) == "config"
        for name in imported(path)
        if name.startswith("crack_lightning.model")
    }
    registries = ("backends.registry", "heads.registry", "optimizers", "schedulers")
    assert crossing == {f"crack_lightning.model.{name}" for name in registries}


def test_the_model_imports_only_the_metrics_of_evaluation() -> None:
    crossing = {
        (path.name, name)
        for path in MODULES
        if room(path) == "model"
        for name in imported(path)
        if name.startswith("crack_lightning.evaluation")
    }
    assert crossing == {
        ("split_metrics.py", "crack_lightning.evaluation.metrics.metric_collection.build_metrics")
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_hydra_stays_in_the_configured_rooms(path: Path) -> None:
    if room(path) not in CONFIGURED:
        assert not {name for name in imported(path) if name.split(".")[0] in ("hydra", "omegaconf")}


@pytest.mark.parametrize(
    "module",
    [
        "crack_lightning",
        "crack_lightning.cli.main",
        "crack_lightning.train",
        "hydra_plugins.crack_lightning_sweeper",
        "hydra_plugins.crack_lightning_ray",
    ],
)
def test_importing_loads_nothing_heavy(module: str) -> None:
    heavy = "torch", "timm", "pytorch_lightning", "torchvision", "optuna", "matplotlib", "cv2", "ray"
    assert loaded(heavy, by=module) == "[]"


@pytest.mark.parametrize("module", ["load_data", "preflight", "audit_run"])
def test_looking_at_tiles_loads_no_torch(module: str) -> None:
    assert loaded(("torch", "pytorch_lightning"), by=f"crack_lightning.experiment.{module}") == "[]"


NOT_OF_PREDICTION = (
    *("pytorch_lightning", "torchmetrics", "tensorboard", "scipy", "sklearn", "matplotlib", "optuna"),
    *("torch._dynamo", "torch._inductor", "sympy", "pandas", "polars"),
)


def test_predicting_loads_nothing_of_training() -> None:
    assert loaded(NOT_OF_PREDICTION, by="crack_lightning.inference.prediction") == "[]"


def loaded(names: tuple[str, ...], *, by: str) -> str:
    code = f"import sys, {by}; print([name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_no_test_imports_another() -> None:
    files = sorted(TESTS.rglob("*.py"))
    assert Path(__file__) in files
    found = [
        f"{path.relative_to(TESTS)}: {line}"
        for path in files
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s*(from|import) +([a-z_.]+\.)?test_", line)
    ]
    assert found == []
