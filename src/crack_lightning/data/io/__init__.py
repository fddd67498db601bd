"""Reading of image and mask files: formats, decoding, batches of one size."""
