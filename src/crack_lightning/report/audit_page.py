"""An audit as data, as a self-contained page, and as a console table."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table
from rich.text import Text

from crack_lightning.data.grouping.groups import has_known_photo, large_set_rules
from crack_lightning.data.scan.audit import class_balance
from crack_lightning.data.scan.image_stats import MEASURES
from crack_lightning.report.render.page import render, thumbnail
from crack_lightning.report.report_file import to_builtin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from crack_lightning.data.scan.audit import Audit

_SETS, _OF_A_SET, _SHOWN, _GROUPS = 12, 6, 24, 20


def audit_contents(audit: Audit, *, title: str, command: str, left_out: int) -> dict[str, Any]:
    """Collect the findings of an audit as plain values, tiles by their paths.

    Args:
        audit: The audit.
        title: Heading of the page.
        command: The command line.
        left_out: Tiles that ``data.exclude`` names.
    """
    table = audit.table
    names, paths = table.class_names, table.path

    def named(sets: Sequence[NDArray[np.int64]]) -> list[list[str]]:
        return [paths[rows].tolist() for rows in sets]

    good = audit.reason == ""
    contents = {
        "title": title,
        "command": command,
        "root": table.root,
        "class_names": names,
        "positive_class": table.positive_class,
        "counts": _counts(audit, left_out=left_out),
        "classes": {name: int((table.label == k).sum()) for k, name in enumerate(names)},
        "left_out": [item._asdict() for item in table.left_out],
        "unreadable": [{"path": paths[row], "reason": audit.reason[row]} for row in np.flatnonzero(~good)],
        "identical": named(audit.identical),
        "near_duplicates": named(audit.near_duplicates),
        "conflicts": named(audit.conflicts),
        "groups": class_balance(table),
        "sizes": _counted(f"{width} x {height}" for width, height in audit.size[good].tolist()),
        "modes": _counted(audit.mode[good].tolist()),
        "rare_sizes": paths[audit.rare_sizes],
        **_appearance(audit),
        "suspects": [
            {
                "path": paths[suspect.row],
                "label": names[table.label[suspect.row]],
                "probable": names[suspect.probable],
                "probability": round(suspect.probability, 4),
            }
            for suspect in audit.suspects
        ],
    }
    plain: dict[str, Any] = to_builtin(contents)
    return plain


def _counts(audit: Audit, *, left_out: int) -> dict[str, int]:
    group, origin = audit.table.group, audit.table.extra["group_from"]
    return {
        "tiles": len(audit.table),
        "left_out_by_data_exclude": left_out,
        "pictures_left_out": sum(item.files for item in audit.table.left_out),
        "unreadable": int((audit.reason != "").sum()),
        "identical_files": sum(map(len, audit.identical)),
        "identical_sets": len(audit.identical),
        "tiles_in_near_duplicate_sets": sum(map(len, audit.near_duplicates)),
        "near_duplicate_sets": len(audit.near_duplicates),
        "conflicting_sets": len(audit.conflicts),
        "suspected_labels": len(audit.suspects),
        "photos_of_the_source": len(np.unique(group[origin == "source"])),
        "recovered_photos": len(np.unique(group[origin == "recovery"])),
        "tiles_without_photo": int((~has_known_photo(audit.table)).sum()),
    }


def _appearance(audit: Audit) -> dict[str, Any]:
    """Return the quantiles of each image statistic over the decodable files, and its outliers."""
    good = audit.reason == ""
    return {
        "appearance": {
            measure: np.round(np.quantile(audit.appearance[good, column], (0, 0.05, 0.5, 0.95, 1)), 4)
            for column, measure in enumerate(MEASURES)
            if good.any()
        },
        "outliers": {
            measure: [
                {"path": audit.table.path[row], "value": round(float(audit.appearance[row, column]), 4)}
                for row in audit.outliers[measure]
            ]
            for column, measure in enumerate(MEASURES)
        },
    }


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def audit_page(contents: Mapping[str, Any], audit: Audit) -> str:
    """Render an audit as a self-contained HTML page."""
    table = audit.table
    label = dict(zip(table.path.tolist(), np.array(table.class_names)[table.label].tolist(), strict=True))
    return render(
        "audit.html.j2",
        **contents,
        label=label,
        thumbnail=partial(thumbnail, table.root),
        limits={"sets": _SETS, "of_a_set": _OF_A_SET, "shown": _SHOWN, "groups": _GROUPS},
        measures=MEASURES,
        rules=large_set_rules(len(table)),
    )


def closing_table(contents: Mapping[str, Any]) -> Table:
    """Build the console table of an audit: findings and their number of tiles."""
    counts = contents["counts"]
    table = Table(title=Text(contents["title"]), title_justify="left")
    table.add_column("found")
    table.add_column("tiles", justify="right")
    for name, number in summary_rows(counts):
        table.add_row(name, f"{number:,}")
    return table


def summary_rows(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the main findings with their number of tiles."""
    return [
        ("tiles", counts["tiles"]),
        ("images that are not used", counts["pictures_left_out"]),
        ("unreadable", counts["unreadable"]),
        (f"identical files, in {counts['identical_sets']:,} sets", counts["identical_files"]),
        (
            f"near-duplicates, in {counts['near_duplicate_sets']:,} sets",
            counts["tiles_in_near_duplicate_sets"],
        ),
        ("sets with conflicting labels", counts["conflicting_sets"]),
        ("possible label errors", counts["suspected_labels"]),
        ("tiles of unknown photo", counts["tiles_without_photo"]),
    ]
