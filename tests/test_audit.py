"""An audit from the command line to its page."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    ReadRows = Callable[[Path], list[dict[str, str]]]


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve tiles a class; a file cut short, a copy, a twin of another label, an odd name."""
    root = tmp_path_factory.mktemp("tiles") / "site (1)"
    rng = np.random.default_rng(0)
    for folder in ("cracked", "uncracked"):
        (root / folder).mkdir(parents=True)
        for number in range(12):
            coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
            coarse.resize((80, 80), Image.Resampling.BICUBIC).save(root / folder / f"{number}.png")
    (root / "cracked" / "cut.png").write_bytes((root / "cracked" / "1.png").read_bytes()[:300])
    (root / "cracked" / "copy.png").write_bytes((root / "cracked" / "2.png").read_bytes())
    Image.open(root / "cracked" / "3.png").save(root / "uncracked" / "<b>again.jpg", quality=80)
    (root / "loose.png").write_bytes((root / "cracked" / "1.png").read_bytes())
    return root


@pytest.fixture(scope="module")
def folder(tiles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = tmp_path_factory.mktemp("outputs")
    assert main(["audit", str(tiles), f"outputs={outputs}", "progress=false"]) == 0
    [made] = outputs.glob("*/*_audit_image_folder")
    return made


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    contents: dict[str, Any] = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    return contents


def test_what_is_wrong_is_found(found: dict[str, Any]) -> None:
    assert [row["path"] for row in found["unreadable"]] == ["cracked/cut.png"]
    assert "truncated" in found["unreadable"][0]["reason"]
    assert found["identical"] == [["cracked/2.png", "cracked/copy.png"]]
    assert found["near_duplicates"] == found["conflicts"] == [["cracked/3.png", "uncracked/<b>again.jpg"]]
    assert found["classes"] == {"intact": 13, "crack": 14}
    assert found["sizes"] == {"80 x 80": 26}
    assert found["counts"]["tiles"] == 27


def test_pictures_beside_the_tiles_are_counted_in_the_page(folder: Path, found: dict[str, Any]) -> None:
    assert found["left_out"] == [{"folder": ".", "files": 1, "reason": "in no class folder"}]
    page = (folder / "audit.html").read_text(encoding="utf-8")
    assert re.search(r"Pictures left out(.|\n)*?<td[^>]*>1</td><td>in no class folder</td>", page)


def test_the_page_is_named_in_one_line_however_long(
    tiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = tmp_path / "a folder with spaces and a name " / "longer than the eighty columns of a terminal"
    assert main(["audit", str(tiles), f"outputs={outputs}", "progress=false"]) == 0
    [page] = outputs.glob("*/*/audit.html")
    assert capsys.readouterr().out.endswith(f"\nPage: {page}\n")


def test_every_tile_has_a_row_with_its_flags(folder: Path, rows: ReadRows) -> None:
    listed = {row["path"]: row for row in rows(folder / "audit.csv")}
    assert len(listed) == 27
    columns = "path label group sha256 near_duplicate_group flags"
    assert " ".join(listed["cracked/0.png"]) == columns
    assert listed["cracked/cut.png"]["flags"] == "unreadable"
    assert listed["uncracked/<b>again.jpg"]["flags"].startswith("near_duplicate+conflict")
    for name in ("cracked/copy.png", "cracked/2.png"):
        assert listed[name]["near_duplicate_group"] == "cracked/2.png"


def test_the_page_stands_alone(folder: Path) -> None:
    page = (folder / "audit.html").read_text(encoding="utf-8")
    assert "<b>again" not in page
    assert "&lt;b&gt;again.jpg" in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "http" not in page
    assert page.count("data:image/jpeg;base64,") == len(re.findall("<img ", page)) >= 4
    assert "{{" not in page


def test_rows_that_are_kept_make_a_list_to_leave_out(
    folder: Path, tiles: Path, tmp_path: Path, rows: ReadRows
) -> None:
    listed = [row for row in rows(folder / "audit.csv") if row["flags"]]
    bad = tmp_path / "bad.csv"
    with bad.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, listed[0])
        writer.writeheader()
        writer.writerows(listed)
    assert main(["audit", str(tiles), f"data.exclude={bad}", f"outputs={tmp_path}", "progress=false"]) == 0
    [again] = tmp_path.glob("*/*_audit_image_folder")
    counts = json.loads((again / "audit.json").read_text(encoding="utf-8"))["counts"]
    assert counts["left_out_by_data_exclude"] == len(listed)
    assert counts["unreadable"] == counts["identical_files"] == counts["conflicting_sets"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "data.root: "),
        (["one", "two"], "audit: expected one folder, got 2"),
        (["data=image_folder", "data.root=nowhere"], "data.root: "),
        (["data.split.seed=3"], "data.split.seed: audit does not read it"),
        (["data.on_unreadable=skip"], "data.on_unreadable: audit does not read it"),
    ],
)
def test_a_mistake_is_answered_in_a_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["audit", *arguments, f"outputs={tmp_path}"]) == 2
    assert said in capsys.readouterr().err


def test_drawn_tiles_can_be_audited(tmp_path: Path) -> None:
    drawn = ["data.synthetic.num_tiles=120", "data.synthetic.tile_px=64", "progress=false"]
    assert main(["audit", *drawn, f"outputs={tmp_path}"]) == 0
    [made] = tmp_path.glob("*/*_audit_synthetic")
    counts = json.loads((made / "audit.json").read_text(encoding="utf-8"))["counts"]
    assert counts["photos_of_the_source"] >= 10
    assert counts["tiles_without_photo"] == 0
