"""Every column keeps its type, whichever sources are joined and however the table is passed on."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.columns import COLUMNS, typed
from crack_lightning.data.concat import concat
from crack_lightning.data.cutting import masked_tiles
from crack_lightning.data.scan.prepare import prepare_tiles
from crack_lightning.data.sources import image_folder, metu, sdnet2018
from crack_lightning.data.synthesis import drawn_tiles, painted_tiles
from crack_lightning.data.table import TileTable
from crack_lightning.evaluation.predictions import Predictions
from crack_lightning.report.error_slices import error_slices
from tests.data.pictures import mask_rules

if TYPE_CHECKING:
    from pathlib import Path

MASKED = mask_rules(mask_width="true")
NAMES = ("image_folder", "masked_photos", "metu", "painted", "sdnet2018", "synthetic")


def pictures(root: Path, *folders: str) -> Path:
    for number, folder in enumerate(folders):
        (root / folder).mkdir(parents=True)
        for place in range(3):
            values = np.random.default_rng([number, place]).integers(90, 200, (64, 64, 3), np.uint8)
            Image.fromarray(values).save(root / folder / f"{place:04d}-{place}.jpg")
    return root


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TileTable]:
    """One checked table of each source, on the fewest files that it takes."""
    root = tmp_path_factory.mktemp("sources")
    cache = root / "cache"

    def checked(table: TileTable) -> TileTable:
        how: dict[str, Any] = {"on_unreadable": "error", "num_workers": 1, "show_progress": False}
        return prepare_tiles(table, near_duplicates=True, cache=cache, **how)[0]

    pictures(root / "masked", "images")
    (root / "masked" / "masks").mkdir()
    for number, path in enumerate(sorted((root / "masked" / "images").iterdir())):
        mask = np.zeros((64, 64), np.uint8)
        mask[30:34] = 255 * (number % 2)
        Image.fromarray(mask).save(root / "masked" / "masks" / f"{path.stem}.png")
    own = checked(
        image_folder.load(
            pictures(root / "own", "crack", "intact"),
            class_names=None,
            positive_class="crack",
            group_pattern=None,
        )
    )
    below = painted_tiles.ensure_groups(own, own.label != own.positive_index)
    sdnet = pictures(root / "sdnet", "D/CD", "D/UD", "P/CP", "P/UP", "W/CW", "W/UW")
    return {
        "image_folder": own,
        "masked_photos": checked(
            masked_tiles.load(
                root / "masked", rules=MASKED, group_pattern=None, cache=cache, show_progress=False
            )
        ),
        "metu": checked(metu.load(pictures(root / "metu", "Positive", "Negative"))),
        "painted": painted_tiles.load(
            below, seed=0, num_tiles=4, num_workers=1, cache=cache, show_progress=False
        ),
        "sdnet2018": checked(sdnet2018.load(sdnet)),
        "synthetic": checked(drawn_tiles.load(seed=0, num_tiles=4, tile_px=64, cache=cache)),
    }


def assert_typed(table: TileTable) -> None:
    for name, column in table.columns().items():
        assert column.dtype.kind == np.dtype(COLUMNS[name].dtype).kind, f"{name} is {column.dtype}"


@pytest.mark.parametrize(("first", "second"), list(permutations(NAMES, 2)))
def test_any_two_sources_joined_selected_written_and_read_keep_the_types_of_all_columns(
    first: str, second: str, tables: dict[str, TileTable], tmp_path: Path
) -> None:
    joined = concat([tables[first], tables[second]])
    assert_typed(joined)
    assert_typed(joined.select(np.arange(0)))
    joined.write_csv(tmp_path / "tiles.csv")
    again = TileTable.read_csv(
        tmp_path / "tiles.csv", class_names=joined.class_names, positive_class=joined.positive_class
    )
    assert_typed(again)
    for name, column in joined.columns().items():
        np.testing.assert_array_equal(again.columns()[name], column, err_msg=name)


def test_painted_tiles_without_measures_in_the_test_split_are_a_part_of_their_own_in_the_report(
    tables: dict[str, TileTable],
) -> None:
    joined = concat([tables["image_folder"], tables["painted"]])
    rows = np.arange(len(joined))
    half = np.full((len(joined), 2), 0.5, np.float32)
    found = error_slices(
        Predictions(index=rows, label=joined.label, probability=half), joined, np.zeros(len(joined), np.int64)
    )
    for look in ("brightness", "sharpness"):
        parts = found[look]
        assert parts is not None
        assert parts[-1]["name"] == "not measured"
        assert parts[-1]["tiles"] == len(tables["painted"])
        assert sum(part["tiles"] for part in parts) == len(joined)


def test_a_table_of_no_tiles_keeps_the_types_through_a_file(
    tables: dict[str, TileTable], tmp_path: Path
) -> None:
    tables["synthetic"].select(np.arange(0)).write_csv(tmp_path / "none.csv")
    none = TileTable.read_csv(tmp_path / "none.csv", class_names=("intact", "crack"), positive_class="crack")
    assert_typed(none)
    assert_typed(concat([none, tables["painted"]]))


def test_an_empty_number_is_nan_and_an_unknown_column_is_refused(tables: dict[str, TileTable]) -> None:
    np.testing.assert_array_equal(typed("crack_width_px", np.array(["2.5", ""])), [2.5, np.nan])
    with pytest.raises(KeyError, match="rusty"):
        replace(tables["metu"], extra={"rusty": np.zeros(len(tables["metu"]))})
