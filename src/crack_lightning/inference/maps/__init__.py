"""Crack maps of photos, by tiled inference."""
