"""Inference with a trained model."""
