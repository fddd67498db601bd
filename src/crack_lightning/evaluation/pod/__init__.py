"""Probability of detection by crack width."""
