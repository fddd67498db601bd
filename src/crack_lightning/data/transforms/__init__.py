"""Augmentation of a batch, keyed by (seed, epoch, tile)."""
