"""Infrastructure that is independent of cracks: errors, hardware, processes, files, cache, settings."""
