from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crack_lightning.data.discovery.left_out import LeftOut
from crack_lightning.data.grouping import groups
from crack_lightning.data.grouping.groups import merge_groups
from crack_lightning.report.render.markdown import report_markdown

if TYPE_CHECKING:
    from collections.abc import Callable

    DrawRun = Callable[..., Any]
    Markdown = Callable[..., str]


@pytest.fixture
def markdown_of(contents_of: Callable[..., Any]) -> Callable[..., str]:
    """Render the report of a drawn table and its predictions."""

    def render(run: tuple[Any, Any], **changes: Any) -> str:
        return report_markdown(contents_of(*run, **changes), pictures={"roc_curve.png": "ROC curve"})

    return render


def test_every_table_row_has_as_many_cells_as_its_head(
    markdown_of: Markdown, draw_run: DrawRun, provenance: dict[str, Any]
) -> None:
    table, predictions = draw_run()
    path = np.array([f"a|b`c_{number}.jpg" for number in range(len(table))])
    text = markdown_of((replace(table, path=path), predictions), provenance=provenance)
    head = 0
    rows = 0
    for line in text.splitlines():
        cells = line.replace("\\|", "").count("|") if line.startswith("|") else 0
        assert cells in {0, head} or head == 0, line
        head = cells
        rows += cells > 0
    assert rows > 30


def test_markup_in_names_is_escaped(markdown_of: Markdown, draw_run: DrawRun) -> None:
    table, predictions = draw_run()
    group = np.full(len(table), "<img src=x> [a](b)\n# heading")
    text = markdown_of((replace(table, group=group), predictions))
    assert "<img" not in text.replace("\\<img", "")
    assert "\n# heading" not in text
    assert "\\[a\\](b)" in text


def test_the_verdict_comes_first_and_only_pictures_that_exist_are_embedded(
    markdown_of: Markdown, draw_run: DrawRun
) -> None:
    text = markdown_of(draw_run())
    assert text.startswith("# a run\n\n**Accuracy ")
    assert text.count("![") == 1
    assert "![ROC curve](roc_curve.png)" in text


def test_unknown_groups_are_said_to_make_metrics_optimistic(markdown_of: Markdown, draw_run: DrawRun) -> None:
    table, predictions = draw_run()
    text = markdown_of((replace(table, group=np.full(len(table), "")), predictions))
    assert "Groups are unknown: tiles of one photo may be in several splits" in text
    assert "Groups with tiles in several splits: 0." in markdown_of((table, predictions))


def test_leaked_pairs_are_stated_with_the_accuracy_on_the_other_tiles(
    markdown_of: Markdown, draw_run: DrawRun
) -> None:
    table, predictions = draw_run()
    assert "Leaked pairs (identical files in two splits): 0." in markdown_of((table, predictions))
    searched = merge_groups(table, near_duplicates=np.empty((0, 2), np.int64), clues=None)
    told = "Leaked pairs (identical files or near-duplicates in two splits): 0."
    assert told in markdown_of((searched, predictions))
    tested = table.with_columns(split=np.full(len(table), "test"))
    assert "Leaked pairs" not in markdown_of((tested, predictions))
    digests = np.array([f"{row:064x}" for row in range(len(table))])
    digests[table.rows("train")[0]] = digests[table.rows("test")[0]]
    text = markdown_of((table.with_columns(sha256=digests), predictions))
    assert "(identical files in two splits): 1. Test tiles with one in training: 1; accuracy" in text
    assert "accuracy on the others" in text


def test_the_rules_that_bound_groups_among_very_many_tiles_are_stated(
    markdown_of: Markdown, draw_run: DrawRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, predictions = draw_run()
    searched = merge_groups(table, near_duplicates=np.empty((0, 2), np.int64), clues=None)
    rule = "sets of more than 1,000 are joined only by pairs that correlate by 0.95 or more"
    assert rule not in markdown_of((searched, predictions))
    monkeypatch.setattr(groups, "MAX_EXHAUSTIVE", len(table) - 1)
    assert rule in markdown_of((searched, predictions))
    assert rule not in markdown_of((table, predictions))


def test_images_that_are_not_tiles_are_counted_by_folder(markdown_of: Markdown, draw_run: DrawRun) -> None:
    table, predictions = draw_run()
    assert "left out" not in markdown_of((table, predictions))
    left_out = (LeftOut("test", 20, "in no class folder"), LeftOut(".", 1, "a broken link"))
    text = markdown_of((replace(table, left_out=left_out), predictions))
    assert "21 pictures left out: 20 in 'test' (in no class folder); 1 in '.' (a broken link)." in text


def test_unreadable_files_are_named_and_tiles_excluded_by_the_user_counted(
    markdown_of: Markdown, draw_run: DrawRun, provenance: dict[str, Any]
) -> None:
    mine = [{"path": f"{number}.jpg", "reason": "data.exclude"} for number in range(12)]
    text = markdown_of(
        draw_run(), provenance=provenance | {"excluded_files": [*mine, *provenance["excluded_files"]]}
    )
    assert "Excluded by data.exclude: 12 tiles, listed in report.json." in text
    assert "Unreadable files left out: 1. bad\\|tile.jpg (cut off after 12 bytes)." in text


def test_the_provenance_names_command_settings_and_times(
    markdown_of: Markdown, draw_run: DrawRun, provenance: dict[str, Any]
) -> None:
    detector = {"ood_detector": {"validation_tiles": 36, "passes": 36 / 37}}
    text = markdown_of(draw_run(), provenance=provenance | detector)
    assert ", passes 0.973 |" in text
    assert "| command | `python -m crack_lightning.train model=plain_cnn` |" in text
    assert "| seconds | training 12.3, test 0.5 |" in text
    assert "    optimizer.betas: [0.9, 0.999]" in text


def test_a_test_without_errors_says_so(markdown_of: Markdown, draw_run: DrawRun) -> None:
    table, predictions = draw_run()
    perfect = replace(predictions, probability=np.eye(2)[predictions.label])
    assert "0 of 77 crack tiles were missed." in markdown_of((table, perfect))


def test_more_classes_have_a_row_each(markdown_of: Markdown, draw_run: DrawRun) -> None:
    text = markdown_of(draw_run(num_classes=3, positive=None))
    assert "| class | precision | recall | F1 | tiles |" in text
    assert "| spall | " in text
    assert "averaged over the classes" in text
