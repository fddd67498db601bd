"""Inference backends: eager PyTorch, OpenVINO."""
