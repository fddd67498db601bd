from __future__ import annotations

import numpy as np
from matplotlib.collections import LineCollection

from crack_lightning.comparison.figures import parallel_figure, scatter_figure

SETTINGS = [{"optimizer.lr": lr, "model.name": name} for lr in (0.001, 0.01, 0.1) for name in ("b", "a")]
ACCURACY = [0.9, 0.92, 0.99, 0.94, 0.5, 0.6]


def test_parallel_coordinates_have_one_line_per_run_with_the_best_on_top() -> None:
    [axes] = parallel_figure(SETTINGS, ["optimizer.lr", "model.name"], ACCURACY).axes
    lines = axes.collections[0]
    assert isinstance(lines, LineCollection)
    drawn = [np.asarray(line)[:, 1] for line in lines.get_segments()]
    assert [len(line) for line in drawn] == [3] * 6
    assert drawn[-1].tolist() == [0.5, 1.0, 1.0], "0.01 lies in the middle of its logarithmic axis, b above a"
    assert drawn[0].tolist() == [1.0, 1.0, 0.0]
    widths = np.asarray(lines.get_linewidth())
    assert widths[5] > widths[0]
    told = {text.get_text() for text in axes.texts}
    assert {"0.001", "0.1", "a", "b", "99.00 %"} <= told


def test_settings_beyond_five_are_counted_in_the_title() -> None:
    keys = [f"key{number}" for number in range(9)]
    rows = [dict.fromkeys(keys, value) for value in (1, 2)]
    [axes] = parallel_figure(rows, keys, [0.9, 0.8]).axes
    assert axes.get_title() == "Settings and accuracy (5 of 9 settings)"
    assert len(axes.get_xticks()) == 6


def test_the_pareto_front_joins_the_non_dominated_runs() -> None:
    points = [(10.0, 0.2, "quick"), (20.0, 0.3, "beaten"), (30.0, 0.1, "good")]
    [axes] = scatter_figure(points).axes
    assert np.asarray(axes.lines[1].get_xydata()).tolist() == [[10.0, 0.2], [30.0, 0.1]]
