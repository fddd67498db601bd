"""Confidence intervals that respect groups of tiles."""
