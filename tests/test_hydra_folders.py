"""``hydra.run.dir`` and ``hydra.sweep.dir`` are the folders of runs and sweeps, and nothing is elsewhere."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

from crack_lightning.cli.main import main
from crack_lightning.config.commands import COMMANDS, SCHEMAS
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.sweep import sweeper
from crack_lightning.sweep.folders import sweep_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crack_lightning.sweep.journal import Job


@pytest.fixture
def folder_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Give the folder that a command is told to write in, instead of running it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def folder(command: str, *arguments: str) -> Any:
        module = importlib.import_module(f"crack_lightning.{command}")
        found: list[Any] = []

        def run(composed: Any, *, overrides: Any, folder: Any = None, **_: Any) -> int:
            found.append(folder)
            return 0

        monkeypatch.setattr(module, "run", run)
        code = main([command, *COMMANDS[command].example.split(), *arguments])
        return found[0] if code == 0 else code

    return folder


@pytest.mark.parametrize("command", SCHEMAS)
def test_the_run_is_in_the_folder_that_hydra_is_given(
    command: str, folder_of: Callable[..., Any], tmp_path: Path
) -> None:
    where = {
        "here": "here",
        "a (1)/b=2": "a (1)/b=2",
        str(tmp_path / "there"): str(tmp_path / "there"),
        "~/runs": str(tmp_path / "home" / "runs"),
        "of_${hydra.job.name}": f"of_{command}",
        ".": ".",
    }
    for typed, wanted in where.items():
        assert str(folder_of(command, f"hydra.run.dir={typed}")) == wanted
    assert folder_of(command) is None
    assert not list(tmp_path.iterdir()), "Hydra has made a folder of its own"


def test_a_run_takes_no_folder_that_holds_something(
    folder_of: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert str(folder_of("train", "hydra.run.dir=empty")) == "empty"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state.json").write_text("{}")
    (tmp_path / "file").touch()
    for name, told in {
        "run": "'run' holds files, which are kept; resume=run goes on with the run there; or",
        ".": "'.' holds files, which are kept; give another folder.",
        "file": "a folder is expected, and 'file' is a file; give another path.",
    }.items():
        assert folder_of("train", f"hydra.run.dir={name}") == 2
        assert told in capsys.readouterr().err
    assert str(folder_of("train", "hydra.run.dir=run", f"resume={tmp_path}/run")) == "run"
    assert folder_of("train", "hydra.run.dir=empty", "resume=run") == 2
    assert "hydra.run.dir: a resumed run stays in its folder 'run', got 'empty'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("hydra.sweep.dir=x", "hydra.sweep.dir: a run without -m does not read it; leave it out."),
        ("hydra.sweep.subdir=x", "hydra.sweep.subdir: a run without -m does not read it; leave it out."),
        ("hydra.job.chdir=true", "hydra.job.chdir: commands stay in the folder that they are started in"),
        ("hydra.output_subdir=.hydra", "hydra.output_subdir: a run's folder has its settings in config.yaml"),
        ("hydra.job.name=x", "hydra.job.name: it names a folder only as part of another key"),
        ("-m hydra.run.dir=x", "hydra.run.dir: a sweep (-m) does not read it; leave it out."),
        ("-m hydra.job.chdir=true", "hydra.job.chdir: commands stay"),
    ],
)
def test_a_setting_of_hydra_without_effect_is_refused(
    given: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *given.split()]) == 2
    assert told in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] in ([], [".hydra"])


@pytest.fixture
def jobs_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[Job]]:
    """Give the jobs that a sweep would run, instead of running them."""
    monkeypatch.chdir(tmp_path)

    def jobs(*arguments: str) -> list[Job]:
        found: list[list[Job]] = []

        def run(_: Any, __: Any, planned: list[Job], *___: Any, **____: Any) -> None:
            found.append(planned)
            for job in planned:
                job.state = "done"

        monkeypatch.setattr(sweeper, "_run", run)
        code = main(["train", "-m", *arguments])
        assert code == (0 if found else 2)
        return found[0] if found else []

    return jobs


def test_the_sweep_and_its_jobs_are_in_the_folders_that_hydra_is_given(
    jobs_of: Callable[..., list[Job]], tmp_path: Path
) -> None:
    assert [str(job.folder) for job in jobs_of("seed=1,2", "hydra.sweep.dir=there")] == ["there/0", "there/1"]
    subfolder = "hydra.sweep.subdir=s/${seed}_${model.name}_${hydra.job.num}"
    found = jobs_of("seed=1,2", "model=resnet18", "hydra.sweep.dir=by name", subfolder)
    assert [str(job.folder) for job in found] == ["by name/s/1_resnet18_0", "by name/s/2_resnet18_1"]
    again = jobs_of("seed=1,2", "model=resnet18", "hydra.sweep.dir=by name", subfolder, "sweep.resume=latest")
    assert [job.folder for job in again] == [job.folder for job in found]
    made = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".coverage"))
    assert made == ["by name", "there"]
    [job] = jobs_of("seed=1")
    assert job.folder.parts[:2] == ("outputs", "multirun")


@pytest.mark.parametrize(
    ("subfolder", "told"),
    [
        (
            "same",
            "hydra.sweep.subdir: each job needs a folder of its own, got 'same' for jobs 0",
        ),
        ("../out", "hydra.sweep.subdir: a folder within the sweep's is expected, got '../out'"),
        ("/out", "hydra.sweep.subdir: a folder within the sweep's is expected, got '/out'"),
    ],
)
def test_jobs_do_not_share_a_folder_nor_leave_the_sweeps(
    subfolder: str, told: str, jobs_of: Callable[..., list[Job]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not jobs_of("seed=1,2", "hydra.sweep.dir=there", f"hydra.sweep.subdir={subfolder}")
    assert told in capsys.readouterr().err


def test_a_sweep_takes_no_folder_that_holds_something(
    jobs_of: Callable[..., list[Job]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").touch()
    assert not jobs_of("seed=1,2", "hydra.sweep.dir=used")
    assert "hydra.sweep.dir: a folder that is new or empty is expected, and 'used'" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="a resumed sweep stays in its folder 'used', got 'other'"):
        sweep_folder("used", tmp_path, chosen=tmp_path.relative_to(tmp_path) / "other")
