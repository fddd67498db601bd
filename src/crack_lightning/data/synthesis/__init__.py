"""Rendering of concrete, cracks and distractors, and painting on real tiles."""
