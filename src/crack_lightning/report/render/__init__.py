"""A report as Markdown, HTML and console tables."""
