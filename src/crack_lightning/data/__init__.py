"""Images on disk or drawn, as uint8 batches; knows nothing of models."""
