"""Paths, atomic writes, CSV tables, and untrusted files."""
