# /// script
# dependencies = ["nox[uv]>=2025.5.1"]
# ///
"""The workshop: ``nox`` runs tests, lint and types; ``nox -l`` lists the other sessions.

The block above lets nox fetch uv for itself; without it (``NOX_SCRIPT_MODE=none``) pip does the same, slower.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"  # the first with requires=
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["tests", "lint", "types"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
PROJECT = ("--editable", ".[offline-weights,larger-offline-weights,fast,slurm,ray]")
TOOLS = nox.project.dependency_groups(PYPROJECT, "test", "lint", "types", "docs")
TESTED = ("--constraint", "constraints.txt")
COMPILED = {"UV_COMPILE_BYTECODE": "1"}  # once here, not in every process that a test starts
SYSTEM_PACKAGES = "--install-system-packages"
IN_PARALLEL = ("--durations=15", "--numprocesses=auto", "--dist=worksteal")
WHOLE_SUITE = (*IN_PARALLEL, "-m", "not real_data")
MAIN_JOB_ACCURACY = 0.95


@nox.session(reuse_venv=True, default=False)
def environment(session: nox.Session) -> None:
    """Make or refresh the one environment, on the interpreter at hand, in which the others run."""
    session.install(*PROJECT, *TOOLS, *TESTED, env=COMPILED)


@nox.session(requires=["environment"], venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run the tests but for slow ones, with coverage; or some: ``nox -s tests -- tests/evaluation``."""
    _python(session, "-m", "pytest", *(session.posargs or ("--cov", *IN_PARALLEL)))


@nox.session(requires=["environment"], venv_backend="none", default=False)
def slow(session: nox.Session) -> None:
    """Run the slow tests: kills and resumes of runs and sweeps, DDP, what drawn tiles give away."""
    _python(session, "-m", "pytest", "-m", "slow", *(session.posargs or IN_PARALLEL))


@nox.session(requires=["environment"], venv_backend="none")
def lint(session: nox.Session) -> None:
    """Check rules and format."""
    _python(session, "-m", "ruff", "check")
    _python(session, "-m", "ruff", "format", "--check")


@nox.session(requires=["environment"], venv_backend="none")
def types(session: nox.Session) -> None:
    """Check the types of sources, tests, benchmarks and this file."""
    _python(session, "-m", "mypy", *session.posargs)


@nox.session(requires=["environment"], venv_backend="none", default=False)
def bench(session: nox.Session) -> None:
    """Measure speed, scale and memory, or some of the parts: ``-- loop job predictions``."""
    _python(session, "benchmarks/bench.py", *session.posargs)


@nox.session(requires=["environment"], venv_backend="none", default=False)
def simulations(session: nox.Session) -> None:
    """Simulate tests whose truth is known: how often intervals hold it, how often equal models differ."""
    _python(session, "benchmarks/simulations.py", *session.posargs)


@nox.session(requires=["environment"], venv_backend="none", default=False)
def real(session: nox.Session) -> None:
    """Run the tests that need the real images beside the project."""
    _python(session, "-m", "pytest", "-m", "real_data", *session.posargs)


@nox.session(requires=["environment"], venv_backend="none", default=False)
def docs(session: nox.Session) -> None:
    """Build the documentation strictly, and open every page in headless Chromium, its network cut.

    ``nox -s docs -- --install-system-packages`` installs Debian's chromium and chromium-driver first.
    """
    if SYSTEM_PACKAGES in session.posargs:
        _install_system_packages(session, "chromium", "chromium-driver")
    strict = ("--fail-on-warning", "--keep-going", "--fresh-env", "--write-all", "--quiet")
    _python(session, "-m", "sphinx", *strict, "docs", "docs/_build/site")
    _python(session, "tests/end_to_end/site.py", "docs/_build/site")


@nox.session(requires=["environment"], venv_backend="none", default=False)
def pages(session: nox.Session) -> None:
    """Open the pages of a run, comparisons and an audit in headless Chromium, its network cut.

    ``nox -s pages -- --install-system-packages`` installs Debian's chromium and chromium-driver first.
    """
    if SYSTEM_PACKAGES in session.posargs:
        _install_system_packages(session, "chromium", "chromium-driver")
    outputs = tempfile.mkdtemp(dir=session.create_tmp())  # kept, for the screenshots
    drawn = [
        "data.synthetic.num_tiles=240",
        "data.synthetic.tile_px=64",
        "progress=false",
        f"outputs={outputs}",
    ]
    grid = ["-m", "seed=0,1", "optimizer.lr=1e-3,3e-3", "trainer=smoke", "data.batch_size=8"]
    network = ["model=mobilenetv3_small", "model.image_size=48"]
    _python(session, "-m", "crack_lightning.train", *grid, *network, *drawn)
    _python(session, "-m", "crack_lightning.audit", *drawn)
    _python(session, "tests/end_to_end/pages.py", outputs)


@nox.session(requires=["environment"], venv_backend="none", default=False)
def slurm(session: nox.Session) -> None:
    """Sweep on a SLURM of this machine's own, one job ended by scancel, then resumed.

    Does nothing without ``nox -s slurm -- --install-system-packages``, as root on Debian 12 or alike.
    """
    if SYSTEM_PACKAGES not in session.posargs:
        session.skip(f"it installs Debian's SLURM and munge; say -- {SYSTEM_PACKAGES}")
    _install_system_packages(session, "slurmctld", "slurmd", "slurm-client", "munge")
    _python(session, "tests/end_to_end/clusters.py", "slurm")


@nox.session(requires=["environment"], venv_backend="none", default=False)
def ray(session: nox.Session) -> None:
    """Sweep on a Ray of this machine's own, one job killed, then resumed."""
    _python(session, "tests/end_to_end/clusters.py", "ray")


@nox.session(requires=["environment"], venv_backend="none", default=False)
def nodes(session: nox.Session) -> None:
    """Predict and train on two hosts in network namespaces, one of them killed; as root, on Linux."""
    _python(session, "tests/end_to_end/two_node_ray.py")
    _python(session, "tests/end_to_end/two_host_ddp.py")


@nox.session(name="tests-all", python=nox.project.python_versions(PYPROJECT), default=False)
def tests_all(session: nox.Session) -> None:
    """Run the tests on every Python that the classifiers name."""
    session.install(*PROJECT, *TOOLS, *TESTED, env=COMPILED)
    session.run("python", "-m", "pytest", *(session.posargs or WHOLE_SUITE))


@nox.session(default=False)
def newest(session: nox.Session) -> None:
    """Run the tests with the newest versions of everything, which may not work yet."""
    session.install("--upgrade", *PROJECT, *TOOLS)
    session.run("python", "-m", "pytest", *(session.posargs or WHOLE_SUITE))


@nox.session(requires=["environment"], default=False)
def wheel(session: nox.Session) -> None:
    """Install the wheel in an environment of its own and run the main job from an empty folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _python(session, "-m", "hatchling", "build", "--target", "wheel", "--directory", name)
        session.install(*map(str, folder.glob("*.whl")), *TESTED)
        empty = folder / "empty"
        empty.mkdir()
        with session.chdir(empty):
            session.run(
                *("python", "-m", "crack_lightning.train", *(session.posargs or ["model=mobilenetv2"])),
                env={"CRACK_LIGHTNING_CACHE": str(folder / "cache"), "PYTHONPATH": None},
            )
        accuracy = _accuracy(empty)
    session.log(f"test accuracy {accuracy:.2%}")
    if not session.posargs and accuracy < MAIN_JOB_ACCURACY:
        session.error(f"the main job gave {accuracy:.2%}, expected {MAIN_JOB_ACCURACY:.0%} or more")


def _install_system_packages(session: nox.Session, *names: str) -> None:
    session.run("apt-get", "update", external=True, silent=True)
    install = ("apt-get", "install", "--yes", "--no-install-recommends", *names)
    session.run(*install, env={"DEBIAN_FRONTEND": "noninteractive"}, external=True, silent=True)


def _python(session: nox.Session, *arguments: str, env: dict[str, str] | None = None) -> None:
    programs = "Scripts" if sys.platform == "win32" else "bin"
    python = session.env_dir.parent / "environment" / programs / "python"
    session.run(python, *arguments, env=env, external=True)


def _accuracy(folder: Path) -> float:
    (path,) = folder.rglob("predictions.csv")
    with path.open(encoding="utf-8", newline="") as file:
        right = [bool(row["label"] == row["predicted"]) for row in csv.DictReader(file)]
    return sum(right) / len(right)
