"""Rendering of a report as Markdown, ``report.md``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.report.render.document import Code, Gallery, Links, Listing, Pictures, Table
from crack_lightning.report.sections.sections import report_sections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crack_lightning.report.render.document import Block


def report_markdown(contents: Mapping[str, Any], *, pictures: Mapping[str, str]) -> str:
    """Render a report as Markdown.

    Args:
        contents: The contents of the report.
        pictures: Alternative text by file name of the pictures beside the report.
    """
    parts = [
        f"# {plain(contents['title'])}",
        f"**{plain(contents['verdict'])}**",
        *(f"> {plain(warning)}" for warning in contents["warnings"]),
    ]
    for section in report_sections(contents):
        if blocks := markdown_blocks(section.blocks, pictures):
            how = [f"*{plain(section.how_to_read)}*"] if section.how_to_read else []
            parts += [f"## {section.title}", *how, *blocks]
    return "\n\n".join(parts) + "\n"


def markdown_blocks(blocks: Sequence[Block], pictures: Mapping[str, str]) -> list[str]:
    """Render blocks as Markdown; galleries, and pictures that were not drawn, are left out."""
    return [text for text in (_block(block, pictures) for block in blocks) if text]


def _block(block: Block, pictures: Mapping[str, str]) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Pictures):
        drawn = [name for name in block.names if name in pictures]
        return "\n\n".join(f"![{plain(pictures[name])}]({name})" for name in drawn)
    if isinstance(block, Listing):
        lines = "\n".join(f"    {line}" for line in block.lines)
        return f"### {block.title}\n\n{lines}"
    if isinstance(block, Links):
        return f"In full: {', '.join(f'[{name}]({path})' for name, path in block.to)}."
    return "" if isinstance(block, Gallery) else plain(block)


def _table(table: Table) -> str:
    rule = ["---:" if side == "r" else "---" for side in table.alignment]
    written = [
        [_code(cell) if isinstance(cell, Code) else plain(cell) for cell in row]
        for row in (table.head, *table.rows)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (written[0], rule, *written[1:]))


def plain(text: str) -> str:
    """Escape Markdown and HTML markup, which names of files and classes may contain."""
    one_line = " ".join(text.split())
    for mark in "\\`*_[]<>|":
        one_line = one_line.replace(mark, f"\\{mark}")
    return one_line


def _code(text: str) -> str:
    """Render a name as code, without backticks and with escaped table separators."""
    return f"`{' '.join(text.split()).replace('`', chr(39)).replace('|', chr(92) + '|')}`"
