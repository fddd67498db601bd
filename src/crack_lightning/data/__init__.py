"""Tiles from files or rendering, as uint8 batches; independent of models."""
