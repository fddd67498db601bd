"""Weights and checkpoints, read without executing code of a file."""
