"""Sweeps: many runs from one command, each job in its own process."""
