"""Classes, splits and files left out, or the error, of many trees of folders."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from crack_lightning.data.sources import image_folder, metu, sdnet2018
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from crack_lightning.data.table import TileTable


def fill(root: Path, *names: str) -> Path:
    """Write one picture a name; of a JPEG's suffix JPEG, of any other PNG."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path, "JPEG" if ".j" in name else "PNG")
    return root


def read(root: Path, **options: Any) -> TileTable:
    given = {"class_names": None, "positive_class": "crack", "group_pattern": None} | options
    return image_folder.load(root, **given)


def counts(table: TileTable) -> dict[str, int]:
    """The tiles of each class, after their split where that is decided."""
    names = (table.class_names[label] for label in table.label.tolist())
    return dict(
        Counter(" ".join(filter(None, pair)) for pair in zip(table.split.tolist(), names, strict=True))
    )


def left_out(table: TileTable) -> dict[str, int]:
    return {f"{item.folder}: {item.reason}": item.files for item in table.left_out}


PAIR = {"crack": 1, "intact": 1}
SPLIT_PAIR = {"train crack": 1, "train intact": 1, "test crack": 1, "test intact": 1}

READ: dict[str, tuple[list[str], dict[str, int]]] = {
    "classes": (["crack/a.png", "intact/b.png"], PAIR),
    "other JPEG suffixes": (
        ["crack/a.jfif", "crack/b.JPE", "crack/c.JPG", "intact/d.jpeg", "intact/e.TIF", "intact/f.pjpeg"],
        {"crack": 3, "intact": 3},
    ),
    "no suffix": (["crack/IMG 0001", "crack/2024.05.01", "intact/b.png"], {"crack": 2, "intact": 1}),
    "sites above classes": (
        ["deck/cracked/a.png", "deck/uncracked/b.png", "wall/Cracked/c.png", "wall/uncracked/d.png"],
        {"crack": 2, "intact": 2},
    ),
    "sites below classes": (
        ["crack/deck/a.png", "intact/deck/b.png", "intact/wall/c.png"],
        {"crack": 1, "intact": 2},
    ),
    "splits above classes": (
        ["Train/crack/a.png", "Train/intact/b.png", "TEST/crack/c.png", "TEST/intact/d.png"],
        SPLIT_PAIR,
    ),
    "sets of splits": (
        ["train_set/crack/a.png", "train_set/intact/b.png", "test_set/crack/c.png", "test_set/intact/d.png"],
        SPLIT_PAIR,
    ),
    "dev and holdout": (
        ["train/crack/a.png", "train/intact/b.png", "dev/crack/c.png", "hold_out/intact/d.png"],
        {"train crack": 1, "train intact": 1, "val crack": 1, "test intact": 1},
    ),
    "a numbered split": (
        ["train/crack/a.png", "train/intact/b.png", "Test_1/crack/c.png", "Test_1/intact/d.png"],
        SPLIT_PAIR,
    ),
    "splits below classes": (
        ["crack/train/a.png", "intact/train/b.png", "crack/test/c.png", "intact/test/d.png"],
        SPLIT_PAIR,
    ),
    "splits below sites below classes": (
        ["crack/x/train/a.png", "intact/x/train/b.png", "crack/y/test/c.png", "intact/x/test/d.png"],
        SPLIT_PAIR,
    ),
    "sites, splits, classes": (
        ["x/train/crack/a.png", "x/train/intact/b.png", "y/test/crack/c.png", "y/test/intact/d.png"],
        SPLIT_PAIR,
    ),
    "splits, sites, classes": (
        ["train/x/crack/a.png", "train/y/intact/b.png", "test/x/crack/c.png", "test/y/intact/d.png"],
        SPLIT_PAIR,
    ),
    "sites, classes, splits": (
        ["x/crack/train/a.png", "x/intact/train/b.png", "y/crack/test/c.png", "y/intact/test/d.png"],
        SPLIT_PAIR,
    ),
    "training alone": (["train/crack/a.png", "train/intact/b.png"], PAIR),
    "training alone below classes": (["crack/train/a.png", "intact/train/b.png"], PAIR),
    "names that differ in case": (
        ["Crack/a.png", "crack/b.png", "Intact/c.png", "INTACT/d.png"],
        {"crack": 2, "intact": 2},
    ),
    "masks beside": (["crack/a.png", "intact/b.png", "masks/a.png", "crack/GT/a.png"], PAIR),
    "masks as classes": (
        ["labels/crack/a.png", "labels/intact/b.png", "labels2/crack/c.png"],
        {"crack": 2, "intact": 1},
    ),
    "hidden files": (
        [
            *("crack/a.png", "intact/b.png", "crack/._a.jpg", "intact/@eaDir/b.png", ".trash/c.png"),
            *("__MACOSX/crack/a.png", ".ipynb_checkpoints/d.png", "$RECYCLE.BIN/e.png", "#recycle/f.png"),
            *("lost+found/g.png", "crack/Thumbs.db"),
        ],
        PAIR,
    ),
}


@pytest.mark.parametrize("layout", READ)
def test_a_layout_that_is_certain_is_read(layout: str, tmp_path: Path) -> None:
    names, expected = READ[layout]
    assert counts(read(fill(tmp_path, *names))) == expected


LEFT_OUT: dict[str, tuple[list[str], dict[str, int]]] = {
    "loose pictures": (["a.png", "b.png"], {".: in no class folder": 2}),
    "a suffix that is not read": (
        ["crack/a.png~", "crack/a.bak"],
        {
            "crack: the suffix '.bak' is not read; rename such files": 1,
            "crack: the suffix '.png~' is not read; rename such files": 1,
        },
    ),
    "masks": (
        ["crack/GT/a.png", "Annotations/b.png", "ground_truth/deep/c.png"],
        {
            "Annotations: masks or annotations, by their folder's name": 1,
            "crack/GT: masks or annotations, by their folder's name": 1,
            "ground_truth/deep: masks or annotations, by their folder's name": 1,
        },
    ),
    "masks beside their pictures": (
        ["crack/1_mask.png", "crack/2_GT.png", "crack/2.png"],
        {"crack: a mask of the picture beside it, by its name": 2},
    ),
    "pictures in a cloud": (["crack/.3.jpg.icloud"], {"crack: not downloaded from iCloud yet": 1}),
    "archives": (
        ["crack/more.zip", "x.rar"],
        {f"{place}: an archive, which is not opened here; unpack it": 1 for place in (".", "crack")},
    ),
}


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_pictures_that_are_no_tiles_are_counted_by_folder_and_reason(kind: str, tmp_path: Path) -> None:
    names, expected = LEFT_OUT[kind]
    table = read(fill(tmp_path, "crack/1.png", "intact/2.png", *names))
    assert left_out(table) == expected
    assert (
        {"crack/1.png", "intact/2.png"}
        <= set(table.path.tolist())
        <= {"crack/1.png", "crack/2.png", "intact/2.png"}
    )


def test_what_earlier_runs_wrote_beside_the_tiles_is_no_class(tmp_path: Path) -> None:
    fill(tmp_path, "crack/1.png", "intact/2.png")
    made = tmp_path / "outputs"
    fill(made, "day/run/report/roc.png", "day/run/a.jpg", "multirun/error.png")
    for name in ("day/run/config.yaml", "day/run/run.log", "multirun/comparison.json"):
        (made / name).touch()
    (made / "multirun" / "comparison.html").touch()
    table = read(tmp_path)
    assert counts(table) == PAIR
    assert left_out(table) == {
        "outputs/day: made by a run of crack_lightning": 2,
        "outputs/multirun: made by a run of crack_lightning": 1,
    }


def test_a_name_that_only_ends_like_a_mask_is_a_tile(tmp_path: Path) -> None:
    table = read(fill(tmp_path, "crack/1.png", "crack/9_mask.png", "intact/2.png"))
    assert (counts(table), table.left_out) == ({"crack": 2, "intact": 1}, ())


def test_the_layout_that_was_read_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        read(fill(tmp_path, "x/train/crack/a.png", "x/train/intact/b.png", "y/test/crack/c.png"))
    assert "layout: */<split>/<class>" in caplog.text


def test_a_flat_test_folder_is_counted(tmp_path: Path) -> None:
    table = read(fill(tmp_path, "train/crack/a.png", "train/intact/b.png", "test/c.png", "test/d.png"))
    assert left_out(table) == {"test: in no class folder": 2}


def test_documents_and_texts_are_no_pictures(tmp_path: Path) -> None:
    fill(tmp_path, "crack/1.png", "intact/2.png")
    for name in ("README.pdf", "notes.txt", "crack/BM notes", "labels.csv", "LICENSE"):
        (tmp_path / name).write_text("BM is the beginning of this text, too")
    assert read(tmp_path).left_out == ()


REFUSED: dict[str, tuple[list[str], str]] = {
    "training beside classes": (
        ["train/crack/a.png", "train/intact/b.png", "crack/c.png", "intact/d.png"],
        r"train' has images beside class folders:\n(.|\n)*crack/ 1\nintact/ 1\ntrain/ 2\n  crack/ 1\n",
    ),
    "a flat test folder beside classes": (
        ["crack/a.png", "intact/b.png", "test/c.png"],
        r"test' has images beside class folders:",
    ),
    "pictures beside splits below a class": (
        ["crack/train/a.png", "crack/test/b.png", "intact/train/c.png", "intact/test/d.png", "crack/e.png"],
        r"crack' has images beside folders of splits in it",
    ),
    "splits in some classes": (
        ["crack/train/a.png", "crack/test/b.png", "intact/deck/c.png"],
        r"intact/deck' has images beside folders of splits",
    ),
    "names that join class and split": (
        ["crack_train/a.png", "crack_test/b.png", "intact_train/c.png", "intact_test/d.png"],
        r"not certain which folders under .*\n(.|\n)*crack_test/ 1\ncrack_train/ 1\n(.|\n)*data\.class_names",
    ),
    "sites in some of which classes lie": (
        ["deck/crack/a.png", "deck/intact/b.png", "wall/c.png", "road/d.png"],
        r"not certain which folders",
    ),
    "sites beside classes": (
        ["crack/a.png", "intact/b.png", "deck/crack/c.png"],
        r"deck' has images beside class folders",
    ),
    "folds": (
        ["fold_1/train/crack/a.png", "fold_1/test/intact/b.png", "fold_2/train/crack/c.png"],
        r"not certain which folders",
    ),
    "unknown classes in sites": (
        ["deck/A/a.png", "deck/B/b.png", "wall/A/c.png", "wall/B/d.png", "road/A/e.png", "road/B/f.png"],
        r"not certain which folders",
    ),
    "unknown classes in splits of sites": (
        ["deck/train/A/a.png", "deck/test/B/b.png", "wall/train/A/c.png", "wall/test/B/d.png"],
        r"not certain which folders",
    ),
    "two tests": (
        ["train/crack/a.png", "train/intact/b.png", "test_1/crack/c.png", "test_2/crack/d.png"],
        r"has the folders test_1, test_2, train; expected train and one each of val and test at most",
    ),
    "a test alone below classes": (
        ["crack/test/a.png", "intact/test/b.png"],
        r"has the folders test; expected train",
    ),
}


@pytest.mark.parametrize("layout", REFUSED)
def test_a_layout_that_is_not_certain_is_shown_and_refused(layout: str, tmp_path: Path) -> None:
    names, message = REFUSED[layout]
    with pytest.raises(DataError, match=message):
        read(fill(tmp_path, *names))


@pytest.mark.parametrize(
    ("names", "folders", "expected"),
    [
        (["deck/A/a.png", "deck/B/b.png", "wall/A/c.png"], "A B", {"crack": 2, "intact": 1}),
        (["deck/crack/a.png", "wall/intact/b.png"], "deck wall", PAIR),
        (
            ["A/train/a.png", "A/test/b.png", "B/train/c.png"],
            "A B",
            {"train crack": 1, "test crack": 1, "train intact": 1},
        ),
        (["masks/a.png", "test/b.png"], "masks test", PAIR),
        (["crack_train/a.png", "train_intact/b.png"], "crack_train train_intact", PAIR),
    ],
)
def test_class_names_decide_which_folders_are_the_classes(
    names: list[str], folders: str, expected: dict[str, int], tmp_path: Path
) -> None:
    class_names = dict(zip(folders.split(), ("crack", "intact"), strict=True))
    assert counts(read(fill(tmp_path, *names), class_names=class_names)) == expected


def test_folders_of_a_mac_and_of_others_are_one_class(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "Rissgefüge") for form in ("NFC", "NFD"))
    fill(tmp_path, f"{composed}/a.png", f"{apart}/b.png", "heil/c.png")
    class_names = {composed: "crack", "heil": "intact"}
    assert counts(read(tmp_path, class_names=class_names)) == {"crack": 2, "intact": 1}
    assert counts(read(tmp_path, positive_class=composed)) == {composed: 2, "heil": 1}


def test_a_class_of_files_that_cannot_be_read_is_kept_to_be_named(tmp_path: Path) -> None:
    fill(tmp_path, "spalling/a.png", "intact/b.png")
    (tmp_path / "crack").mkdir()
    (tmp_path / "crack" / "c.HEIC").write_bytes(b"")
    assert counts(read(tmp_path)) == {"spalling": 1, "intact": 1, "crack": 1}


def test_a_class_folder_without_a_picture_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, "train/crack/a.png", "train/intact/b.png", "test/intact/c.png")
    (tmp_path / "test" / "crack").mkdir()
    (tmp_path / "logs").mkdir()
    read(tmp_path)
    assert "no pictures in 'test/crack'" in caplog.text
    assert "logs" not in caplog.text


def test_the_other_class_without_a_picture_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "intact/a.png")
    (tmp_path / "crack").mkdir()
    with pytest.raises(DataError, match=r"one class only under .* No pictures lie in 'crack'\."):
        read(tmp_path)


def test_a_picture_counts_once_however_many_links_lead_to_it(tmp_path: Path) -> None:
    root = fill(tmp_path / "root", "crack/a.png", "intact/b.png")
    fill(tmp_path / "store", "c.png")
    (root / "crack" / "0.png").symlink_to(root / "crack" / "a.png")
    (root / "aaa").symlink_to(root / "crack")
    (root / "crack" / "more").symlink_to(tmp_path / "store")
    (root / "intact" / "c.png").symlink_to(tmp_path / "store" / "c.png")
    (root / "gone").symlink_to(tmp_path / "nowhere")
    (root / "ring").symlink_to(root / "ring")
    table = read(root)
    assert table.path.tolist() == ["crack/a.png", "crack/more/c.png", "intact/b.png"]
    assert left_out(table) == {
        ".: a broken link": 2,
        "crack: a link to a picture that is read already": 1,
        "intact: a link to a picture that is read already": 1,
    }


def test_a_class_of_links_is_not_named_as_empty(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, "store/a.png", "root/intact/b.png")
    for name in ("crack", "cracked"):
        (tmp_path / "root" / name).mkdir()
    (tmp_path / "root" / "crack" / "more").symlink_to(tmp_path / "store")
    (tmp_path / "root" / "cracked" / "c.png").symlink_to(tmp_path / "root" / "intact" / "b.png")
    table = read(tmp_path / "root")
    assert counts(table) == PAIR
    assert "no pictures" not in caplog.text


def test_a_model_is_tested_on_one_class_of_several_sites(tmp_path: Path) -> None:
    fill(tmp_path, "deck/cracked/a.png", "wall/cracked/b.png", "crack/x/1/c.png", "crack/y/1/d.png")
    (tmp_path / "sites").mkdir()
    for site in ("deck", "wall"):
        (tmp_path / site).rename(tmp_path / "sites" / site)
    known = ("intact", "crack")
    assert counts(read(tmp_path / "sites", known_classes=known)) == {"crack": 2}
    assert counts(read(tmp_path / "crack", known_classes=known)) == {"crack": 2}


def test_metu_counts_what_lies_outside_its_two_folders(tmp_path: Path) -> None:
    fill(tmp_path, "set/Positive/a.jpg", "set/Negative/b.jpg", "set/c.jpg", "more/d.jpg", "more/e.jpg")
    assert left_out(metu.load(tmp_path)) == {
        "more: outside the folders Positive and Negative": 2,
        "set: outside the folders Positive and Negative": 1,
    }


def test_sdnet2018_counts_what_lies_outside_its_folders(tmp_path: Path) -> None:
    fill(tmp_path, "D/CD/7001-1.jpg", "D/UD/7001-2.jpg", "D/more/7001-3.jpg", "E/7001-4.jpg")
    assert left_out(sdnet2018.load(tmp_path)) == {
        "D/more: outside the folders of cracked and intact tiles": 1,
        "E: outside the folders of cracked and intact tiles": 1,
    }


def test_a_name_that_is_not_utf8_is_listed(tmp_path: Path) -> None:
    fill(tmp_path, "crack/a.png", "intact/b.png")
    name = os.fsdecode(b"Ri\xdf.png")
    fill(tmp_path, f"crack/{name}")
    assert f"crack/{name}" in read(tmp_path).path.tolist()
