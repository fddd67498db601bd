"""What has nothing to do with cracks: errors, hardware, processes, files, the cache."""
