"""Paths, atomic files, CSV tables, and files that a stranger may have written."""
