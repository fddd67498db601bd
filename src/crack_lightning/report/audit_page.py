"""Output of an audit: JSON contents, HTML page and console table."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table
from rich.text import Text

from crack_lightning.data.grouping.groups import has_known_photo
from crack_lightning.data.scan.audit import class_balance
from crack_lightning.data.scan.image_stats import MEASURES
from crack_lightning.report.render.page import render, thumbnail
from crack_lightning.report.report_file import to_builtin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from crack_lightning.data.scan.audit import Audit

_SETS, _TILES_PER_SET, _TILES, _GROUPS = 12, 6, 24, 20


def audit_contents(found: Audit, *, title: str, command: str, left_out: int) -> dict[str, Any]:
    """Return the findings of an audit as JSON values that name tiles by path.

    Args:
        found: The audit.
        title: Heading of the page.
        command: The command line.
        left_out: Number of tiles that ``data.exclude`` names.
    """
    table = found.table
    names, paths = table.class_names, table.path

    def named(sets: Sequence[NDArray[np.int64]]) -> list[list[str]]:
        return [paths[rows].tolist() for rows in sets]

    good = found.reason == ""
    contents = {
        "title": title,
        "command": command,
        "root": table.root,
        "class_names": names,
        "positive_class": table.positive_class,
        "counts": _counts(found, left_out=left_out),
        "classes": {name: int((table.label == k).sum()) for k, name in enumerate(names)},
        "left_out": [item._asdict() for item in table.left_out],
        "unreadable": [{"path": paths[row], "reason": found.reason[row]} for row in np.flatnonzero(~good)],
        "identical": named(found.identical),
        "near_duplicates": named(found.twins),
        "conflicts": named(found.conflicts),
        "groups": class_balance(table),
        "sizes": _counted(f"{width} x {height}" for width, height in found.size[good].tolist()),
        "modes": _counted(found.mode[good].tolist()),
        "rare_sizes": paths[found.rare_sizes],
        **_image_statistics(found),
        "suspects": [
            {
                "path": paths[suspect.row],
                "label": names[table.label[suspect.row]],
                "probable": names[suspect.probable],
                "probability": round(suspect.probability, 4),
            }
            for suspect in found.suspects
        ],
    }
    plain: dict[str, Any] = to_builtin(contents)
    return plain


def _counts(found: Audit, *, left_out: int) -> dict[str, int]:
    group, origin = found.table.group, found.table.extra["group_from"]
    return {
        "tiles": len(found.table),
        "left_out_by_data_exclude": left_out,
        "images_left_out": sum(item.files for item in found.table.left_out),
        "unreadable": int((found.reason != "").sum()),
        "identical_files": sum(map(len, found.identical)),
        "identical_sets": len(found.identical),
        "near_duplicate_tiles": sum(map(len, found.twins)),
        "near_duplicate_sets": len(found.twins),
        "conflicting_sets": len(found.conflicts),
        "suspected_labels": len(found.suspects),
        "source_photos": len(np.unique(group[origin == "source"])),
        "inferred_photos": len(np.unique(group[origin == "recovery"])),
        "tiles_without_photo": int((~has_known_photo(found.table)).sum()),
    }


def _image_statistics(found: Audit) -> dict[str, Any]:
    """Return quantiles and outliers of each image statistic over the decodable files."""
    good = found.reason == ""
    return {
        "image_statistics": {
            measure: np.round(np.quantile(found.appearance[good, column], (0, 0.05, 0.5, 0.95, 1)), 4)
            for column, measure in enumerate(MEASURES)
            if good.any()
        },
        "outliers": {
            measure: [
                {"path": found.table.path[row], "value": round(float(found.appearance[row, column]), 4)}
                for row in found.outliers[measure]
            ]
            for column, measure in enumerate(MEASURES)
        },
    }


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def audit_page(contents: Mapping[str, Any], found: Audit) -> str:
    """Render an audit as a self-contained HTML page."""
    table = found.table
    label = dict(zip(table.path.tolist(), np.array(table.class_names)[table.label].tolist(), strict=True))
    return render(
        "audit.html.j2",
        **contents,
        label=label,
        thumbnail=partial(thumbnail, table.root),
        limits={"sets": _SETS, "of_a_set": _TILES_PER_SET, "shown": _TILES, "groups": _GROUPS},
        measures=MEASURES,
    )


def closing_table(contents: Mapping[str, Any]) -> Table:
    """Build the console table of an audit: findings and their number of tiles."""
    counts = contents["counts"]
    table = Table(title=Text(contents["title"]), title_justify="left")
    table.add_column("finding")
    table.add_column("tiles", justify="right")
    for name, number in summary_rows(counts):
        table.add_row(name, f"{number:,}")
    return table


def summary_rows(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return name and number of each main finding."""
    return [
        ("tiles", counts["tiles"]),
        ("unused images", counts["images_left_out"]),
        ("unreadable", counts["unreadable"]),
        (f"identical files, in {counts['identical_sets']:,} sets", counts["identical_files"]),
        (f"near-duplicates, in {counts['near_duplicate_sets']:,} sets", counts["near_duplicate_tiles"]),
        ("sets with conflicting labels", counts["conflicting_sets"]),
        ("possible label errors", counts["suspected_labels"]),
        ("tiles of unknown photo", counts["tiles_without_photo"]),
    ]
