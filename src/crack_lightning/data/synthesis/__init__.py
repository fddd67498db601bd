"""Drawn concrete, cracks and distractors, and painting on real tiles."""
