"""Search with Optuna."""
