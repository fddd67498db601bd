"""What computes a trained network: eager PyTorch or OpenVINO."""
