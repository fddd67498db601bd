"""Runs side by side: reading, aggregating, testing, the page."""
