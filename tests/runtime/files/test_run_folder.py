from __future__ import annotations

import logging
import multiprocessing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filelock import FileLock

from crack_lightning.runtime.errors import ConfigError, CrackLightningError
from crack_lightning.runtime.files.atomic_write import atomic_write, write_text
from crack_lightning.runtime.files.run_folder import create_run_folder, lock_folder, log_to

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def test_two_runs_of_one_second_get_two_folders(tmp_path: Path) -> None:
    first, second = (create_run_folder(tmp_path, "resnet18_metu", now=NOON) for _ in range(2))
    assert first == tmp_path / "2026-01-02" / "12-00-00_resnet18_metu"
    assert second == tmp_path / "2026-01-02" / "12-00-00_resnet18_metu_2"


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "2026-01-02").write_text("", encoding="utf-8")
    with pytest.raises(CrackLightningError, match="2026-01-02' is a file"):
        create_run_folder(tmp_path, "x", now=NOON)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "whole")

    def fail_half_way() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert path.read_text(encoding="utf-8") == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no disk that is always full")
def test_a_log_without_room_ends_in_the_error_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OSError, match="No space left"), log_to(Path("/dev/full")):
        logging.getLogger("crack_lightning").info("a line")
    assert capsys.readouterr() == ("a line\n", "")


def _hold(folder: str, pipe: multiprocessing.connection.Connection) -> None:
    with lock_folder(Path(folder)):
        pipe.send("held")
        pipe.recv()


def test_a_folder_has_one_writer_and_a_killed_one_gives_it_back(tmp_path: Path) -> None:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_hold, args=(str(tmp_path), theirs))
    process.start()
    assert ours.recv() == "held"
    with pytest.raises(ConfigError, match="being written by another process"), lock_folder(tmp_path):
        pass
    process.kill()
    process.join()
    with lock_folder(tmp_path):
        pass


def write_parts(sweep: Path) -> dict[str, Path]:
    """Half written files of a sweep and of its jobs, by whose they are."""
    folders = {
        "sweep": sweep,
        "live": sweep / "0",
        "dead": sweep / "1",
        "launched": sweep / "2",
        "new": sweep / "3",
    }
    parts = {name: folder / "report" / ".report.json.abc.part" for name, folder in folders.items()}
    for part in parts.values():
        part.parent.mkdir(parents=True)
        part.write_text("half", encoding="utf-8")
    (sweep / "1" / ".lock").touch()
    (sweep / "2" / ".lease").write_text("token", encoding="utf-8")
    return parts


def test_a_sweep_that_goes_on_leaves_what_a_live_job_is_writing(tmp_path: Path) -> None:
    parts = write_parts(tmp_path)
    with FileLock(tmp_path / "0" / ".lock"), lock_folder(tmp_path):
        left = {name for name, part in parts.items() if part.exists()}
    assert left == {"live", "launched"}


def test_a_job_that_is_run_again_clears_its_own_folder(tmp_path: Path) -> None:
    parts = write_parts(tmp_path)
    for number in (0, 2):
        with lock_folder(tmp_path / str(number)):
            pass
    assert {name for name, part in parts.items() if part.exists()} == {"sweep", "dead", "new"}
