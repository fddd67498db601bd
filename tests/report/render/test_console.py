from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rich.console import Console

from crack_lightning.report.render.console import closing_table

if TYPE_CHECKING:
    from collections.abc import Callable

    DrawRun = Callable[..., Any]
    Contents = Callable[..., dict[str, Any]]


def test_the_console_shows_metrics_and_the_verdict(draw_run: DrawRun, contents_of: Contents) -> None:
    table, predictions = draw_run()
    contents = contents_of(table, predictions, title="[red]a run")
    console = Console(file=io.StringIO(), width=400)
    console.print(closing_table(contents))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[0].strip() == "[red]a run"
    assert lines[-1].strip() == contents["verdict"]
    row = next(line for line in lines if " crack " in line and "│" in line)
    assert f"{100 * contents['classes']['crack']['recall']:.2f} %" in row
