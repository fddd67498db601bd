"""Image and mask files: formats, decoding, batches of one size."""
