"""Comparison of runs: reading, aggregating, testing, and the page."""
