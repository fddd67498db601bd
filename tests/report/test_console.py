from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from crack_lightning.report.console import closing_table
from crack_lightning.report.contents import report_contents

if TYPE_CHECKING:
    from collections.abc import Callable

    from crack_lightning.data.table import TileTable
    from crack_lightning.evaluation.predictions import Predictions

    DrawRun = Callable[..., tuple[TileTable, Predictions]]


def test_the_console_ends_with_figures_verdict_and_the_path_of_the_report(draw_run: DrawRun) -> None:
    table, predictions = draw_run()
    contents = report_contents(
        title="[red]a run", predictions=predictions, table=table, history=[], provenance={}, threshold=0.5
    )
    console = Console(file=io.StringIO(), width=400)
    console.print(closing_table(contents, report_path=Path("outputs") / "run" / "report.md"))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[0].strip() == "[red]a run"
    assert lines[-2].strip() == contents["verdict"]
    assert lines[-1].strip() == f"Report: {Path('outputs') / 'run' / 'report.md'}"
    row = next(line for line in lines if " crack " in line and "│" in line)
    assert f"{100 * contents['classes']['crack']['recall']:.2f} %" in row
