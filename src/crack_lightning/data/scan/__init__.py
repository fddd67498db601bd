"""Scan of a set's files: digests, image statistics, decoding errors; audit."""
