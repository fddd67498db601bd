"""What happens around a step: seeds, guards, checkpoints, resume."""
