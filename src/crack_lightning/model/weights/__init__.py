"""Weights and checkpoints, read without running what a file holds."""
