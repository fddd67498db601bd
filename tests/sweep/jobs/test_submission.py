"""Jobs that Hydra's launchers run: their ends come back, and they stop with their sweep."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from trivial_jobs import alive, planned, start, swept, until

from crack_lightning.config import conf_dir
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.files.run_folder import OUTCOME
from crack_lightning.sweep.jobs import launchers
from crack_lightning.sweep.jobs.launchers import ChosenLauncher, chosen_launcher
from crack_lightning.sweep.jobs.worker import CONSOLE
from crack_lightning.sweep.journal import DONE, FAILED, PLANNED, Journal

TARGET = "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher"
SUBMITIT = {  # what SLURM's jobs are, but for SLURM
    "_target_": TARGET,
    "submitit_folder": "${hydra.sweep.dir}/${hydra.sweep.subdir}/submitit",
    "timeout_min": 5,
}


def option(name: str) -> dict[str, Any]:
    node = OmegaConf.to_container(OmegaConf.load(conf_dir() / "hydra" / "launcher" / f"{name}.yaml"))
    assert isinstance(node, dict)
    return {str(key): value for key, value in node.items()}


@pytest.fixture(autouse=True)
def _found_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)


def test_the_ends_of_launched_jobs_come_back(tmp_path: Path) -> None:
    planned(tmp_path, {"do": ""}, {"do": "raise"})
    jobs = swept(tmp_path, at_once=2, launcher=SUBMITIT, patience_s=60)
    assert [job.state for job in jobs] == [DONE, FAILED]
    assert jobs[1].reason == "ValueError: seven is too many"
    told = json.loads((jobs[1].folder / OUTCOME).read_text(encoding="utf-8"))
    assert 'raise ValueError("seven is too many")' in "".join(told["traceback"])
    assert "at work" in (jobs[0].folder / CONSOLE).read_text(encoding="utf-8")
    assert not [*tmp_path.glob("*/.lease"), *tmp_path.glob("*/.pulse_*")]


def test_the_reason_of_a_launched_job_that_was_killed_is_its_launchers(tmp_path: Path) -> None:
    planned(tmp_path, {"do": "kill"})
    [job] = swept(tmp_path, launcher=SUBMITIT, patience_s=60)
    assert job.state == FAILED
    assert job.reason.startswith("UncompletedJobError: Job")


def test_a_launched_job_is_stopped_with_its_sweep_and_can_go_on(tmp_path: Path) -> None:
    [job] = planned(tmp_path, {"do": "wait", "seconds": 60})
    process = start(tmp_path, launcher=SUBMITIT, patience_s=20)
    until((job.folder / "started").exists)
    [pid] = map(int, (job.folder / "started").read_text(encoding="utf-8").split())
    assert alive(pid)
    process.terminate()
    process.wait()
    assert not alive(pid)
    assert [job.state for job in Journal(tmp_path).read()[1]] == [PLANNED]


@pytest.mark.slow
def test_a_launched_job_whose_sweep_was_killed_makes_way_for_the_resumed_sweeps(tmp_path: Path) -> None:
    [job] = planned(tmp_path, {"do": "wait once", "seconds": 60})
    process = start(tmp_path, launcher=SUBMITIT, patience_s=20)
    until((job.folder / "started").exists)
    process.kill()
    process.wait()
    [first] = map(int, (job.folder / "started").read_text(encoding="utf-8").split())
    [done] = swept(tmp_path, launcher=SUBMITIT, patience_s=20)
    assert (done.state, done.attempts) == (DONE, 2)
    assert not alive(first)
    assert "signal 15" in (job.folder / CONSOLE).read_text(encoding="utf-8")


def sweep_with(name: str, node: dict[str, Any]) -> Any:
    choices = {"hydra/launcher": name}
    return OmegaConf.create({"hydra": {"runtime": {"choices": choices}, "launcher": node}})


@pytest.mark.parametrize(
    ("name", "missing", "extra"),
    [
        ("slurm", "hydra_plugins.hydra_submitit_launcher", "slurm"),
        ("ray_cluster", "ray", "ray"),
    ],
)
def test_a_launcher_that_is_not_installed_names_its_extra(
    name: str, missing: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = sweep_with(name, option(name))
    monkeypatch.setattr("shutil.which", lambda program: program)
    assert chosen_launcher(config, pruner="none") == ChosenLauncher(name, option(name))
    monkeypatch.setattr(launchers, "find_spec", lambda module: None if module == missing else module)
    with pytest.raises(ConfigError, match=rf"hydra/launcher: {name} needs .*crack-lightning\[{extra}\]"):
        chosen_launcher(config, pruner="none")


def test_slurm_is_refused_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="hydra/launcher: slurm needs SLURM, and this machine has no srun"):
        chosen_launcher(sweep_with("slurm", option("slurm")), pruner="none")


def test_without_a_launcher_jobs_are_our_own_processes() -> None:
    assert chosen_launcher(sweep_with("basic", {"_target_": "x"}), pruner="asha") is None


@pytest.mark.parametrize(("name", "cores"), [("slurm", 4), ("ray_cluster", 2)])
def test_a_job_elsewhere_has_the_cores_that_are_reserved_for_it(name: str, cores: int) -> None:
    launcher = ChosenLauncher(name, option(name))
    shares = launcher.allocate_resources("300", [{"trainer": {"threads": None}}])
    assert (len(shares.environments), shares.threads) == (300, cores)
    with pytest.raises(ConfigError, match=f"{cores + 1} threads are more than the {cores} cores"):
        launcher.allocate_resources("1", [{"trainer": {"threads": cores + 1}}])
