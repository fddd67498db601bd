"""Training: seeds, callbacks, checkpoints, DDP, linear probe, resumption."""
