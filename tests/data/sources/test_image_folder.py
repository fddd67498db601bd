from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from crack_lightning.data.scan.scan import scan_files
from crack_lightning.data.sources.image_folder import load
from crack_lightning.runtime.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from crack_lightning.data.table import TileTable
from tests.data.pictures import write_images


def read(root: Path, **options: Any) -> TileTable:
    return load(root, **({"class_names": None, "positive_class": "crack", "group_pattern": None} | options))


def classes(table: TileTable) -> dict[str, str]:
    return {
        path: table.class_names[label] for path, label in zip(table.path.tolist(), table.label, strict=True)
    }


@pytest.mark.parametrize(
    ("cracked", "intact"),
    [
        ("Positive", "Negative"),
        ("positive", "NEGATIVE"),
        ("CD", "UD"),
        ("CW", "UW"),
        ("CP", "UP"),
        ("cracked", "uncracked"),
        ("Cracked", "Non-cracked"),
        ("crack", "no_crack"),
        ("Crack", "No Crack"),
        ("Crack", "Non-Crack"),
        ("crack", "intact"),
        ("cracks", "crack-free"),
    ],
)
def test_common_pairs_become_crack_and_intact_and_are_logged(
    cracked: str, intact: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    table = read(write_images(tmp_path, f"{cracked}/a.png", f"{intact}/b.png"))
    assert table.class_names == ("intact", "crack")
    assert (table.positive_class, table.positive_index) == ("crack", 1)
    assert classes(table) == {f"{cracked}/a.png": "crack", f"{intact}/b.png": "intact"}
    assert f"{cracked} → crack" in caplog.text
    assert f"{intact} → intact" in caplog.text


def test_rows_are_sorted_by_path_and_name_their_source(tmp_path: Path) -> None:
    table = read(
        write_images(tmp_path, "crack/b.png", "crack/a/z.png", "intact/B.png", "crack/B.JPG", "intact/a.png")
    )
    assert table.path.tolist() == sorted(table.path.tolist())
    assert len(table) == 5
    assert set(table.source) == {"image_folder"}
    assert set(table.split) == set(table.group) == set(table.sha256) == {""}
    assert table.root == tmp_path


def test_a_folder_named_as_the_positive_class_settles_a_pair(tmp_path: Path) -> None:
    table = read(write_images(tmp_path, "Spalling/a.png", "concrete/b.png"), positive_class="spalling")
    assert (table.class_names, table.positive_class) == (("concrete", "spalling"), "spalling")


def test_two_uncertain_folders_are_asked_about(tmp_path: Path) -> None:
    write_images(tmp_path, "bad/a.png", "good/b.png")
    said = (
        r"'bad' and 'good'.*Set 'data\.class_names=\{bad: crack, good: intact\}', or"  # as a shell takes it
    )
    with pytest.raises(DataError, match=said):
        read(tmp_path)
    table = read(tmp_path, class_names={"bad": "crack", "good": "intact"})
    assert classes(table) == {"bad/a.png": "crack", "good/b.png": "intact"}


def test_two_folders_that_both_mean_cracked_are_asked_about(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'cracked' and 'positive' means 'crack'"):
        read(write_images(tmp_path, "cracked/a.png", "positive/b.png"))


def test_several_folders_may_be_told_to_be_one_class(tmp_path: Path) -> None:
    write_images(tmp_path, "wide/a.png", "fine/b.png", "wall/c.png")
    table = read(tmp_path, class_names={"wide": "crack", "fine": "crack", "wall": "intact"})
    assert table.class_names == ("intact", "crack")
    assert table.label.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"crack": "crack"}, "data.class_names: the folder 'intact' is missing"),
        ({"crack": "crack", "intact": "intact", "wal": "intact"}, "data.class_names: no folder 'wal'"),
        ({"crack": "a", "intact": "b"}, "data.positive_class: 'crack' is neither 'a' nor 'b'"),
    ],
)
def test_class_names_that_do_not_fit_are_refused(told: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        read(write_images(tmp_path, "crack/a.png", "intact/b.png"), class_names=told)


def test_three_classes_keep_their_names(tmp_path: Path) -> None:
    table = read(write_images(tmp_path, "Crack/a.png", "no_crack/b.png", "spalling/c.png"))
    assert (table.class_names, table.positive_class) == (("crack", "no_crack", "spalling"), "crack")
    table = read(write_images(tmp_path, "rust/d.png"), positive_class="stain")
    assert (table.class_names, table.positive_class) == (("Crack", "no_crack", "rust", "spalling"), None)


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Train", "Valid", "Test"), ("train", "validation")]
)
def test_ready_made_splits_are_taken(names: tuple[str, ...], tmp_path: Path) -> None:
    for name in names:
        write_images(tmp_path, f"{name}/Positive/a.png", f"{name}/Negative/b.png")
    table = read(tmp_path)
    expected = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
    for path, split in zip(table.path.tolist(), table.split.tolist(), strict=True):
        assert split == expected[path.split("/")[0].lower()]
    assert len(table) == 2 * len(names)


def test_a_lone_train_folder_is_not_a_split(tmp_path: Path) -> None:
    table = read(write_images(tmp_path, "train/crack/a.png", "train/intact/b.png"))
    assert table.split.tolist() == ["", ""]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("val/crack/a.png", "test/crack/a.png"), "has the folders test, val; expected train"),
        (("train/crack/a.png", "val/crack/a.png", "valid/crack/a.png"), "has the folders train, val, valid"),
        (("train/crack/a.png", "test/crack/a.png", "more/b.png"), "more' has images beside train"),
    ],
)
def test_splits_that_are_not_certain_are_refused(
    names: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        read(write_images(tmp_path, *names))


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.root: '.*nowhere' does not exist.*data\.root=<folder>"):
        read(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"a\.png' is a file"):
        read(write_images(tmp_path, "a.png") / "a.png")


def test_a_root_without_images_says_what_it_looked_for(tmp_path: Path) -> None:
    (tmp_path / "crack").mkdir()
    (tmp_path / "crack" / "notes.txt").write_text("none")
    with pytest.raises(
        DataError, match=r"no images under '.*' \(looked for \.jpg, .*\.webp\)\. Set data\.root"
    ):
        read(tmp_path)
    (tmp_path / "crack" / "a.HEIC").write_bytes(b"")
    with pytest.raises(DataError, match="Its 1 files in other formats"):
        read(tmp_path)


def test_images_in_no_folder_of_a_class_are_told_from_files_in_other_formats(tmp_path: Path) -> None:
    write_images(tmp_path, "set/a.png", "set/b.png")
    with pytest.raises(DataError, match=r"2 images under '.*set' lie in no folder of a class.*folder above"):
        read(tmp_path / "set")


def test_one_class_only_is_refused_and_a_folder_too_high_is_explained(tmp_path: Path) -> None:
    write_images(tmp_path, "set/crack/a.png")
    with pytest.raises(DataError, match=r"images of one class only under '.*set' \('crack' → crack\)"):
        read(tmp_path / "set")
    write_images(tmp_path, "set/intact/b.png")
    with pytest.raises(
        DataError, match=r"If its folders crack, intact are the classes, set data\.root to it"
    ):
        read(tmp_path)


def test_what_systems_leave_behind_is_ignored(tmp_path: Path) -> None:
    write_images(
        tmp_path, "crack/a.png", "intact/b.png", "__MACOSX/crack/a.png", ".hidden/c.png", "crack/.cache/d.png"
    )
    write_images(tmp_path, "crack/._a.png", "crack/@eaDir/e.png", "intact/Thumbs.db", "intact/notes.txt")
    (tmp_path / "empty").mkdir()
    assert read(tmp_path).path.tolist() == ["crack/a.png", "intact/b.png"]


def test_links_are_followed_once_and_never_in_a_circle(tmp_path: Path) -> None:
    root = write_images(tmp_path / "root", "crack/deep/a.png", "intact/b.png")
    write_images(tmp_path / "elsewhere", "c.png")
    (root / "crack" / "more").symlink_to(tmp_path / "elsewhere")
    (root / "crack" / "more_again").symlink_to(tmp_path / "elsewhere")
    (root / "crack" / "self").symlink_to(root / "crack")
    (root / "crack" / "deep" / "up").symlink_to(root)
    (root / "crack" / "deep" / "above").symlink_to(tmp_path)
    (root / "crack" / "ring").symlink_to(root / "crack" / "ring")
    assert read(root).path.tolist() == ["crack/deep/a.png", "crack/more/c.png", "intact/b.png"]


def test_odd_entries_are_listed_so_that_the_check_names_them(tmp_path: Path) -> None:
    write_images(tmp_path, "crack/a.png", "intact/b.png", "crack/folder.jpg/inside.png")
    (tmp_path / "crack" / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "intact" / "photo.HEIC").write_bytes(b"")
    table = read(tmp_path)
    scan = scan_files(
        table.root,
        table.path,
        near_duplicates=False,
        num_workers=1,
        show_progress=False,
        cache=tmp_path / "cache",
    )
    reasons = {
        path.rpartition("/")[2]: reason.split(";")[0]
        for path, reason in zip(table.path.tolist(), scan.reason.tolist(), strict=True)
        if reason
    }
    assert reasons == {
        "folder.jpg": "a folder, not a file",
        "link.jpg": "a broken link",
        "photo.HEIC": "a HEIC or HEIF picture, which is not read",
    }


def test_a_pattern_names_the_photo(tmp_path: Path) -> None:
    write_images(tmp_path, "crack/7001-1.png", "crack/7001-2.png", "intact/7001-3.png", "intact/Ж 2-1.png")
    table = read(tmp_path, group_pattern=r"([^/]+)-\d+\.")
    assert table.group.tolist() == ["7001", "7001", "7001", "Ж 2"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", r"data\.group_pattern: '\(' is not a regular expression"),
        (r"\d+", r"data\.group_pattern: '\\d\+' has no group"),
        (r"(\d+)-", r"finds no photo in 1 of 2 paths, the first 'intact/b\.png'"),
        (r"(\d*)", r"finds no photo in 2 of 2 paths, the first 'crack/1-1\.png'"),
    ],
)
def test_a_pattern_that_does_not_fit_is_refused(pattern: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        read(write_images(tmp_path, "crack/1-1.png", "intact/b.png"), group_pattern=pattern)


def test_a_folder_that_cannot_be_listed_is_named(
    unprivileged: Callable[[], AbstractContextManager[None]],
) -> None:
    with tempfile.TemporaryDirectory() as name:  # others may not enter the folders above tmp_path
        folder = write_images(Path(name), "crack/a.png", "intact/b.png", "intact/locked/c.png")
        folder.chmod(0o755)
        locked = folder / "intact" / "locked"
        locked.chmod(0)
        try:
            with (
                unprivileged(),
                pytest.raises(DataError, match=r"cannot list '.*locked' \(Permission denied\)"),
            ):
                read(folder)
        finally:
            locked.chmod(0o755)
