"""Heads on a backbone."""
