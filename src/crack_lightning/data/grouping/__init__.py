"""Tiles that must share a split: near-duplicates, and the tiles of one photo."""
